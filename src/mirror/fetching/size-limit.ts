/**
 * How large one mirror may be, by the bytes of its packs. Whatever would make it larger is given up while it streams, and what is
 * here of it goes: then its requests pass through, and their answers are stored. That is remembered, in memory and by a note in
 * the store, so that neither a restart nor another instance downloads it again only to give it up. After a day, and where
 * the limit has been raised, it is tried again.
 */
import { HotpackError } from '../../bytes/error.ts';
import type { Storage } from '../../storage/contract.ts';
import { bytesOf, type Manifest } from '../catalog/manifest.ts';
import type { FillRoom } from '../maintenance/space/fill-rooms.ts';
import type { LimitMemory } from '../repository-memory.ts';
import type { MirrorContext } from '../services.ts';

const TRY_AGAIN_MS = 24 * 60 * 60 * 1000;
const FOLDER = 'jobs/too-large/';
const MAX_NOTE_BYTES = 1024;

export interface SizeLimitOptions {
  readonly storage: Pick<Storage, 'put' | 'readAll' | 'delete'>;
  /** `Repository.key`. */
  readonly repositoryKey: string;
  /** 0: there is no limit. */
  readonly maxBytes: number;
  readonly now: () => number;
  readonly memory: LimitMemory;
}

export class SizeLimit {
  readonly #options: SizeLimitOptions;
  readonly #key: string;

  constructor(options: SizeLimitOptions) {
    this.#options = options;
    this.#key = `${FOLDER}${options.repositoryKey}`;
  }

  get maxBytes(): number {
    return this.#options.maxBytes;
  }

  /** True where the mirror was found too large within the day, as far as this process knows. */
  get isBroken(): boolean {
    return this.#isYoung(this.#options.memory.brokenAtMs);
  }

  /** The same, as any process over the store has found it. Rejects where the store fails. */
  async recall(signal?: AbortSignal): Promise<boolean> {
    const { storage, maxBytes, memory } = this.#options;
    if (maxBytes === 0 || this.isBroken) return this.isBroken;
    const found = await storage.readAll(this.#key, MAX_NOTE_BYTES, signal);
    const note = found.kind === 'absent' ? undefined : parseNote(found.bytes);
    if (note === undefined || note.maxBytes < maxBytes || !this.#isYoung(note.atMs)) return false;
    memory.brokenAtMs = note.atMs;
    return true;
  }

  /** It was found too large. Rejects where the store fails; then this process alone knows. */
  async note(): Promise<void> {
    const { storage, maxBytes, now, memory } = this.#options;
    const atMs = now();
    memory.brokenAtMs = atMs;
    await storage.put(this.#key, new TextEncoder().encode(JSON.stringify({ maxBytes, atMs })));
  }

  /** Whether what is here is more than may be. */
  isBrokenBy({ packs }: Manifest): boolean {
    return this.maxBytes > 0 && bytesOf(packs) > this.maxBytes;
  }

  /** For one pack that is to come to those that are here. `room`: of all mirrors, where somebody else's must not go for it. */
  guard(here: Manifest['packs'] = [], room?: FillRoom): SizeGuard {
    return new SizeGuard(this.maxBytes === 0 ? Number.POSITIVE_INFINITY : this.maxBytes - bytesOf(here), room);
  }

  #isYoung(atMs: number): boolean {
    const ageMs = this.#options.now() - atMs;
    return this.maxBytes > 0 && ageMs >= 0 && ageMs < TRY_AGAIN_MS;
  }
}

/** `too_large`: for a mirror. `no_room`: mirrors would have to go for it that are cloned more. */
export type TooMuch = 'too_large' | 'no_room';

/** Watches the bytes of one pack. */
export class SizeGuard {
  #leftBytes: number;
  readonly #room: FillRoom | undefined;
  #broken: TooMuch | undefined;

  constructor(leftBytes: number, room: FillRoom | undefined) {
    this.#leftBytes = leftBytes;
    this.#room = room;
  }

  /** Undefined: all of it fits so far. */
  get broken(): TooMuch | undefined {
    return this.#broken;
  }

  /** Takes bytes of the pack. What it gives is `broken`. */
  take(bytes: number): TooMuch | undefined {
    this.#leftBytes -= bytes;
    if (this.#leftBytes < 0) this.#broken = 'too_large';
    else if (this.#room?.take(bytes) === false) this.#broken = 'no_room';
    return this.#broken;
  }

  /** The same chunks, and `limit_exceeded` in place of the first one that is too much. `onBytes` is told the length of each. */
  async *watch(
    chunks: AsyncIterable<Uint8Array>,
    onBytes?: (bytes: number) => void,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const chunk of chunks) {
      const broken = this.take(chunk.length);
      if (broken !== undefined) throw new HotpackError('limit_exceeded', `a pack was given up: ${broken}`);
      onBytes?.(chunk.length);
      yield chunk;
    }
  }
}

/** What `work` gives, or why the guard has ended it. */
export async function withinLimit<T>(guard: SizeGuard, work: Promise<T>): Promise<T | TooMuch> {
  try {
    return await work;
  } catch (error) {
    if (guard.broken !== undefined) return guard.broken;
    throw error;
  }
}

/** What is here of a mirror that is too large goes: at once for those who ask from now on, its files when nobody here reads them. */
export async function giveUpMirror({ copy, limit, services, repository }: MirrorContext): Promise<void> {
  const { logger } = services;
  const repo = repository.name;
  const failed = (error: unknown): void => logger.warn('storage_failed', { repo, error });
  logger.info('mirror_too_large', { repo, maxBytes: limit.maxBytes });
  await limit.note().catch(failed);
  const { unread } = await copy.giveUp();
  const removed = unread.then(() => copy.evict()).catch(failed);
  services.keepAlive?.(removed);
}

function parseNote(bytes: Uint8Array): { readonly maxBytes: number; readonly atMs: number } | undefined {
  try {
    const { maxBytes, atMs } = JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>;
    return typeof maxBytes === 'number' && typeof atMs === 'number' ? { maxBytes, atMs } : undefined;
  } catch {
    return undefined;
  }
}
