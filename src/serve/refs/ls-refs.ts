/** v2 `ls-refs`, cut from the list that is kept. */
import { BRANCH_PREFIXES } from '../../mirror/refs/refs-ledger.ts';
import { writeLsRefsAnswer } from '../../protocol/ls-refs/answer.ts';
import type { LsRefsRequest } from '../../protocol/ls-refs/request.ts';
import { encodedOnce, sharedBody } from './encoded-refs.ts';
import { refsShown } from './refs-shown.ts';
import type { Serving } from '../services.ts';
import { uploadPackResponse } from '../services.ts';

export async function answerLsRefs(serving: Serving, request: LsRefsRequest): Promise<Response> {
  const { refs, source } = await refsShown(serving, needsAll(request) ? 'all' : 'branches');
  const bytes = encodedOnce(refs, `ls-refs ${JSON.stringify(request)}`, () => writeLsRefsAnswer(refs, request));
  return uploadPackResponse(sharedBody(bytes), source);
}

/** A prefix that can match something outside branches, tags and HEAD. Names begin with `refs/`: `main` matches none. */
function needsAll(request: LsRefsRequest): boolean {
  if (request.prefixes.length === 0) return true;
  return request.prefixes.some(
    (prefix) =>
      ('refs/'.startsWith(prefix) || prefix.startsWith('refs/')) &&
      !BRANCH_PREFIXES.some((branches) => prefix.startsWith(branches)),
  );
}
