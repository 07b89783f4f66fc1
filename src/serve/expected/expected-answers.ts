/**
 * Stored answers before anybody asks: when a mirror was warmed, and when new tips have come to one that was, the packs that its
 * clients will ask for are made as for a client who follows them in the background. One repository at a time does so beside its
 * other work, behind all that somebody waits for; a repository that moves without end is made for at most a tenth of the time.
 *
 * Memory: the shapes that warming told of at most `MAX_TOLD` repositories, and an entry for each that has moved lately.
 */
import { sleep, throwIfAborted } from '../../bytes/abort.ts';
import type { Jobs } from '../../jobs/jobs.ts';
import { submitJob } from '../../mirror/services.ts';
import type { Popularity, Traffic } from '../../popularity/contract.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { BoundedMap } from '../../upstream/bounded-map.ts';
import type { Repository } from '../../upstream/repository.ts';
import { expectedShapes } from './expected-shapes.ts';
import { type ExpectedParts, makeExpected } from './make-expected.ts';

const MAX_TOLD = 4_096;
/** After a repository's answers were made: so many times as long until they are made for its next tips. */
const REST_FACTOR = 9;

export interface ExpectedAnswersDeps {
  readonly mirrorOf: (repository: Repository) => ExpectedParts['mirror'];
  readonly answers: ExpectedParts['answers'];
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
    const { answers, jobs, logger, mirrorOf, popularity, now } = this.#deps;
    const repo = repository.name;
    const shapes = expectedShapes(popularity.shapesOf(repo), this.#told.get(repo));
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
        run: (own) => makeExpected({ mirror: mirrorOf(repository), answers, repository, shapes }, own),
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
}
