/**
 * Mirrors where nothing that one request began may be waited for by another (Workers): each request opens a `Mirror` of its own,
 * with jobs of its own, over what is remembered of the repository. What no client waits for is handed over as a task; a
 * mirror that carries out such a task (`own`) does everything by itself.
 *
 * Memory: `maxRefs` refs over all repositories that are remembered, the least recently used are forgotten first, and
 * the tables of packs.
 */
import { createJobs } from '../../jobs/jobs.ts';
import type { RefsSnapshot } from '../../protocol/refs-snapshot.ts';
import type { Repository } from '../../upstream/repository.ts';
import { Mirror } from '../mirror.ts';
import type { KeepAlive, MirrorSource } from '../mirrors.ts';
import { RepositoryMemory } from '../repository-memory.ts';
import { youngestCheck } from '../refs/refs-ledger.ts';
import { combineRefs, sameRefs } from '../refs/tips.ts';
import type { Asker, MirrorServices } from '../services.ts';
import type { MirrorTask } from './mirror-task.ts';

export interface RequestMirrorsOptions {
  readonly maxRefs: number;
  /** Sees to it that the task is done some time. Never rejects. */
  readonly handOver: (task: MirrorTask) => Promise<void>;
  /** What is to be done where a mirror starts empty. Never rejects. */
  readonly onEmptied: (repository: Repository) => Promise<void>;
}

/** DESIGN 4: publications of one repository are at least this far apart. */
const HAND_OVER_MS = 1_000;
/** A task for the same refs is not handed over again sooner. */
const SAME_AGAIN_MS = 30_000;

export class RequestMirrors implements MirrorSource {
  readonly #services: Omit<MirrorServices, 'jobs'>;
  readonly #options: RequestMirrorsOptions;
  /** The least recently used first. */
  readonly #known = new Map<string, { readonly repository: Repository; readonly memory: RepositoryMemory }>();

  constructor(services: Omit<MirrorServices, 'jobs'>, options: RequestMirrorsOptions) {
    this.#services = services;
    this.#options = options;
  }

  of(repository: Repository, keepAlive: KeepAlive = () => undefined): Mirror {
    const memory = this.#remember(repository);
    return new Mirror(
      repository,
      {
        ...this.#servicesFor(keepAlive),
        handOver: (asker, wants) => this.#handOver({ repository, memory, asker, wants, keepAlive }),
      },
      memory,
    );
  }

  /** For him who carries out a task: does by itself whatever is to be done. */
  own(repository: Repository, keepAlive: KeepAlive): Mirror {
    return new Mirror(repository, this.#servicesFor(keepAlive), this.#remember(repository));
  }

  known(name: string): Mirror | undefined {
    const known = this.#known.get(name);
    return known && this.of(known.repository);
  }

  memoryOf(repository: Repository): RepositoryMemory {
    return this.#remember(repository);
  }

  #servicesFor(keepAlive: KeepAlive): MirrorServices {
    const jobs = createJobs({ concurrency: 1, cloneConcurrency: 1, now: this.#services.now });
    const onEmptied = (repository: Repository): void => keepAlive(this.#options.onEmptied(repository));
    return { ...this.#services, jobs, keepAlive, onEmptied };
  }

  #handOver(work: {
    readonly repository: Repository;
    readonly memory: RepositoryMemory;
    readonly asker: Asker;
    readonly wants: readonly string[];
    readonly keepAlive: KeepAlive;
  }): void {
    const { repository, memory, asker, wants, keepAlive } = work;
    // Whoever does the work asks with hotpack's own token, or with none.
    if (asker.visibility !== 'public' && repository.upstream.token === undefined) return;
    if (memory.backoff.isBlocked) return;
    const nowMs = this.#services.now();
    const last = memory.handedOver;
    const youngest = youngestCheck(memory.refs);
    const refs = youngest && combineRefs(youngest.refs, memory.refs.latest.all?.refs);
    if (last !== undefined && wants.every((oid) => last.wants.includes(oid))) {
      const ageMs = nowMs - last.atMs;
      if (ageMs < HAND_OVER_MS || (ageMs < SAME_AGAIN_MS && isSame(last.refs, refs))) return;
    }
    memory.handedOver = { atMs: nowMs, refs, wants };
    keepAlive(this.#options.handOver({ repository, wants, askedAtMs: nowMs, askedBy: 'somebody' }));
  }

  #remember(repository: Repository): RepositoryMemory {
    const { name } = repository;
    const memory = this.#known.get(name)?.memory ?? new RepositoryMemory(this.#services);
    this.#known.delete(name);
    this.#known.set(name, { repository, memory });
    let refs = 0;
    for (const one of this.#known.values()) refs += 1 + refsIn(one.memory);
    for (const [oldest, one] of this.#known) {
      if (refs <= this.#options.maxRefs || oldest === name) break;
      this.#known.delete(oldest);
      refs -= 1 + refsIn(one.memory);
    }
    return memory;
  }
}

function refsIn({ refs, advertised }: RepositoryMemory): number {
  const { branches, all } = refs.latest;
  const stored = advertised.stored;
  return (branches?.refs.refs.length ?? 0) + (all?.refs.refs.length ?? 0) + (stored?.refs.length ?? 0);
}

function isSame(left: RefsSnapshot | undefined, right: RefsSnapshot | undefined): boolean {
  return left === right || (left !== undefined && right !== undefined && sameRefs(left, right));
}
