/** Reads an `ls-refs` answer as it comes. */
import { isHotpackError } from '../bytes/error.ts';
import { iterateStream } from '../bytes/streams.ts';
import { LsRefsAnswerParser } from '../protocol/ls-refs/answer.ts';
import type { Refused, RefsOk, Unavailable } from './contract.ts';
import type { OkAnswer } from './exchange/judgement.ts';

/** Some two million refs; more would be held in memory whole, and is an upstream gone mad. */
const MAX_LS_REFS_BYTES = 192 * 1024 * 1024;

export async function readRefs(answer: OkAnswer, now: () => number): Promise<RefsOk | Refused | Unavailable> {
  const unavailable = (reason: 'malformed' | 'network' | 'timeout', message: string): Unavailable => ({
    kind: 'unavailable',
    reason,
    message,
    retryAtMs: now(),
  });
  const contentType = answer.response.headers.get('content-type') ?? '';
  if (contentType !== 'application/x-git-upload-pack-result') {
    await answer.body.cancel();
    return unavailable('malformed', 'ls-refs: the answer is no git answer');
  }
  const parser = new LsRefsAnswerParser();
  let bytes = 0;
  try {
    for await (const chunk of iterateStream(answer.body)) {
      bytes += chunk.length;
      if (bytes > MAX_LS_REFS_BYTES) return unavailable('malformed', `ls-refs: more than ${MAX_LS_REFS_BYTES} bytes`);
      parser.push(chunk);
    }
    const result = parser.finish();
    switch (result.kind) {
      case 'refs':
        return { kind: 'ok', refs: result.refs };
      case 'error':
        return { kind: 'refused', message: result.message };
      case 'truncated':
        return unavailable('network', 'ls-refs: the answer broke off');
    }
  } catch (error) {
    if (!isHotpackError(error) || error.code === 'aborted') throw error;
    if (error.code === 'timeout') return unavailable('timeout', error.message);
    return unavailable(error.code === 'upstream_unavailable' ? 'network' : 'malformed', error.message);
  }
}
