/**
 * Every mirror of this process, one object a repository, made when first asked for. Of those with open packs only the
 * ones used last stay open.
 */
import type { Repository } from '../upstream/repository.ts';
import { mirrorKeys } from './keys.ts';
import { Mirror } from './mirror.ts';
import type { MirrorServices } from './services.ts';

/** Keeps the runtime alive for work behind an answer. Takes what never rejects. */
export type KeepAlive = (work: Promise<unknown>) => void;

export interface MirrorSource {
  /** For the request that `keepAlive` belongs to, where the runtime ends with its requests. */
  of(repository: Repository, keepAlive?: KeepAlive): Mirror;
  /** One that was asked for before; it stays as open as it is. */
  known(name: string): Mirror | undefined;
}

/** Small things: the last refs, and when to try again. */
const MAX_KNOWN = 4096;

export class Mirrors implements MirrorSource {
  readonly #services: MirrorServices;
  readonly #maxOpen: number;
  /** Both with the least recently used first. */
  readonly #known = new Map<string, Mirror>();
  readonly #open = new Map<string, Mirror>();

  constructor(services: MirrorServices, options: { readonly maxOpen: number }) {
    this.#services = services;
    this.#maxOpen = options.maxOpen;
  }

  of(repository: Repository): Mirror {
    const { name } = repository;
    const mirror = this.#known.get(name) ?? new Mirror(repository, this.#services);
    touch(this.#known, name, mirror);
    touch(this.#open, name, mirror);
    if (this.#open.size > this.#maxOpen) {
      // What cannot be read cannot be closed either: it is looked at again when its turn comes.
      this.#closeOldest().catch((error: unknown) => this.#services.logger.warn('storage_failed', { error }));
    }
    return mirror;
  }

  known(name: string): Mirror | undefined {
    return this.#known.get(name);
  }

  /** Those that were asked for before, by `MirrorKeys.root`. */
  byRoot(): ReadonlyMap<string, Mirror> {
    return new Map([...this.#known.values()].map((mirror) => [mirrorKeys(mirror.repository.key).root, mirror]));
  }

  async #closeOldest(): Promise<void> {
    const [name, mirror] = this.#open.entries().next().value as [string, Mirror];
    this.#open.delete(name);
    if (!(await mirror.closeIfIdle())) touch(this.#open, name, mirror);
    else if (this.#known.size > MAX_KNOWN && !this.#open.has(name)) this.#known.delete(name);
  }
}

function touch(map: Map<string, Mirror>, name: string, mirror: Mirror): void {
  map.delete(name);
  map.set(name, mirror);
}
