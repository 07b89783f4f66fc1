/**
 * Stored answers before anybody asks: when a mirror was warmed, and when new tips have come to one that was, the packs that its
 * clients will ask for are made as for a client who follows them in the background. One repository at a time does so beside its
 * other work, behind all that somebody waits for; a repository that moves without end is made for at most a tenth of the time.
 *
 * Memory: the shapes that warming told of at most `MAX_TOLD` repositories, and an entry for each that has moved lately.
 */
import type { Answers } from '../../answers/answers.ts';
import type { Follower } from '../../answers/shared-answer.ts';
import { sleep, throwIfAborted } from '../../bytes/abort.ts';
import type { Jobs } from '../../jobs/jobs.ts';
import type { Mirror } from '../../mirror/mirror.ts';
import { submitJob } from '../../mirror/services.ts';
import { branchTips } from '../../mirror/refs/tips.ts';
import type { Popularity, Traffic } from '../../popularity/contract.ts';
import type { CloneShape } from '../../popularity/request-shape.ts';
import { createFetchRequest } from '../../protocol/fetch/create-fetch-request.ts';
import type { RefsSnapshot } from '../../protocol/refs-snapshot.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { BoundedMap } from '../../upstream/bounded-map.ts';
import type { Repository } from '../../upstream/repository.ts';
import { expectedShapes } from './expected-shapes.ts';
import { makePack, questionOf } from '../fetch/mirror-pack.ts';
import { planFetch } from '../fetch/plan-fetch.ts';
import { annotatedTags } from '../fetch/annotated-tags.ts';

const MAX_TOLD = 4_096;
/** After a repository's answers were made: so many times as long until they are made for its next tips. */
const REST_FACTOR = 9;

export interface ExpectedAnswersDeps {
  readonly mirrorOf: (repository: Repository) => Pick<Mirror, 'peek' | 'knownRefs' | 'openScratch'>;
  readonly answers: Pick<Answers, 'find' | 'join' | 'maxExpectedBytes'>;
  readonly popularity: Pick<Popularity, 'shapesOf'>;
  readonly jobs: Jobs;
  readonly now: () => number;
  readonly logger: Logger;
}

export class ExpectedAnswers {
  readonly #deps: ExpectedAnswersDeps;
  readonly #ending = new AbortController();
  readonly #told = new BoundedMap<string, Traffic['shapes']>(MAX_TOLD);
  /** Repositories that have moved, and what is done about it. */
  readonly #moved = new Set<string>();
  readonly #following = new Map<string, Promise<void>>();

  constructor(deps: ExpectedAnswersDeps) {
    this.#deps = deps;
  }

  /** Makes what is missing for the tips that are here. `asked`: of its clients, as counted. Rejects with `aborted` alone. */
  async make(repository: Repository, asked: Traffic['shapes'], signal: AbortSignal): Promise<void> {
    if (asked.length > 0) this.#told.set(repository.name, asked);
    await this.#make(repository, signal);
  }

  /** New tips have come: their answers are made soon. */
  moved(repository: Repository): void {
    const { name } = repository;
    if (this.#ending.signal.aborted) return;
    this.#moved.add(name);
    if (this.#following.has(name)) return;
    const following = this.#follow(repository)
      .catch(() => undefined)
      .finally(() => this.#following.delete(name));
    this.#following.set(name, following);
  }

  async stop(): Promise<void> {
    this.#ending.abort();
    await Promise.all(this.#following.values());
  }

  async #follow(repository: Repository): Promise<void> {
    const { now } = this.#deps;
    const { signal } = this.#ending;
    while (this.#moved.delete(repository.name)) {
      const startedAtMs = now();
      // oxlint-disable-next-line no-await-in-loop -- one state after the other
      await this.#make(repository, signal);
      // oxlint-disable-next-line no-await-in-loop
      await sleep(REST_FACTOR * (now() - startedAtMs), signal);
    }
  }

  /** Rejects with `aborted` alone. */
  async #make(repository: Repository, signal: AbortSignal): Promise<void> {
    const { jobs, logger, popularity, now } = this.#deps;
    const repo = repository.name;
    const recent = popularity.shapesOf(repo);
    const shapes = expectedShapes(recent.length > 0 ? recent : (this.#told.get(repo) ?? []));
    const startedAtMs = now();
    const { done } = submitJob(
      jobs,
      {
        kind: 'answers',
        repo,
        lane: 'answers',
        // Who knows more shapes does not join one who knew fewer.
        key: `answers:${repo}:${JSON.stringify(shapes)}`,
        priority: 'background',
        abandonWhenUnwatched: true,
        run: (own) => this.#makeEach(repository, shapes, own),
      },
      { signal },
    );
    const outcome = await done;
    throwIfAborted(signal);
    if (outcome.kind === 'failed') logger.warn('answer_failed', { repo, error: outcome.error });
    else if (outcome.kind === 'done' && outcome.value > 0) {
      logger.info('prewarm.answers', { repo, made: outcome.value, ms: now() - startedAtMs });
    }
  }

  /** How many were made. */
  async #makeEach(repository: Repository, shapes: readonly CloneShape[], signal: AbortSignal): Promise<number> {
    let made = 0;
    for (const shape of shapes) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other, behind all else
      if ((await this.#makeOne(repository, shape, signal)) === 'made') made++;
    }
    return made;
  }

  async #makeOne(repository: Repository, shape: CloneShape, signal: AbortSignal): Promise<'made' | 'here' | 'none'> {
    const { answers, mirrorOf } = this.#deps;
    const mirror = mirrorOf(repository);
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
            return makePack({ mirror, snapshot, query, question }, own);
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
