/**
 * Makes the stored answers that clients will ask for, out of what is here, as for a client who follows them.
 */
import type { AnswerCache } from '../../answers/contract.ts';
import type { Follower } from '../../answers/shared-answer.ts';
import type { Mirror } from '../../mirror/mirror.ts';
import { branchTips } from '../../mirror/refs/tips.ts';
import type { CloneShape } from '../../popularity/request-shape.ts';
import { createFetchRequest } from '../../protocol/fetch/create-fetch-request.ts';
import type { RefsSnapshot } from '../../protocol/refs-snapshot.ts';
import type { Repository } from '../../upstream/repository.ts';
import { annotatedTags } from '../fetch/annotated-tags.ts';
import { makePack, questionOf } from '../fetch/mirror-pack.ts';
import { planFetch } from '../fetch/plan-fetch.ts';

export interface ExpectedParts {
  readonly mirror: Pick<Mirror, 'peek' | 'knownRefs'>;
  readonly answers: Pick<AnswerCache, 'find' | 'join' | 'maxExpectedBytes'>;
  readonly repository: Repository;
  readonly shapes: readonly CloneShape[];
}

/** How many were made: one after the other, and only what is not stored. Rejects where the mirror fails, and with `aborted`. */
export async function makeExpected(parts: ExpectedParts, signal: AbortSignal): Promise<number> {
  let made = 0;
  for (const shape of parts.shapes) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other, behind all else
    if ((await makeOne(parts, shape, signal)) === 'made') made++;
  }
  return made;
}

async function makeOne(
  { mirror, answers, repository }: ExpectedParts,
  shape: CloneShape,
  signal: AbortSignal,
): Promise<'made' | 'here' | 'none'> {
  const snapshot = await mirror.peek(signal);
  if (snapshot === undefined) return 'none';
  let isTaken = false;
  try {
    const refs = mirror.knownRefs() ?? snapshot.held;
    const { store } = snapshot;
    const { deepen, filter, includeTag } = shape;
    const request = createFetchRequest({ wants: wantsOf(shape, refs), deepen, filter, includeTag });
    const isHere = (oid: string): boolean => store.find(oid) >= 0;
    const plan = planFetch(request, { isHere, refs, tags: () => annotatedTags(refs, store) });
    if (request.wants.length === 0 || plan.kind !== 'select') return 'none';
    const { query } = plan;
    const question = questionOf(repository, { request, snapshot, query });
    const stored = await answers.find(question);
    stored?.release();
    if (stored !== undefined) return 'here';
    const joined = await answers.join(
      {
        question,
        isExpected: true,
        make: (own) => {
          isTaken = true;
          return makePack({ snapshot, query, question }, own);
        },
      },
      signal,
    );
    if (joined.kind === 'stored') joined.answer.release();
    if (joined.kind !== 'following') return 'here';
    await readThrough(joined.follower, answers.maxExpectedBytes, signal);
    return 'made';
  } finally {
    if (!isTaken) snapshot.release();
  }
}

/** Follows to the end, or until it is too much; then it is made for nobody, unless somebody else follows it. */
async function readThrough({ packets }: Follower, maxBytes: number, signal: AbortSignal): Promise<void> {
  let bytes = 0;
  for await (const run of packets(signal)) {
    bytes += run.length;
    if (bytes > maxBytes) return;
  }
}

function wantsOf({ wants }: CloneShape, refs: RefsSnapshot): readonly string[] {
  if (wants === 'all') return branchTips(refs);
  return 'oid' in refs.head ? [refs.head.oid] : [];
}
