/**
 * Upstream's last answer with its time, kept beside the repository (DESIGN 3): after a restart a fetch by hash finds what
 * upstream showed, and a check younger than the interval need not be asked again. Written only where refs changed, so
 * its time is that of the last change: too old is safe, too young never happens.
 */
import * as v from 'valibot';
import type { Head, Ref, RefsSnapshot } from '../../protocol/refs-snapshot.ts';
import type { Storage } from '../../storage/contract.ts';
import type { AdvertisedMemory } from '../repository-memory.ts';
import { sameRefs } from './tips.ts';

export interface AdvertisedRefs {
  readonly refs: RefsSnapshot;
  /** When upstream was asked. */
  readonly sentAtMs: number;
}

const MAX_BYTES = 512 * 1024 * 1024;

const oid = v.pipe(v.string(), v.regex(/^[0-9a-f]{40}$/));
const target = v.string();
const SCHEMA = v.object({
  format: v.literal(1),
  sentAtMs: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  head: v.variant('kind', [
    v.object({ kind: v.literal('symref'), target, oid }),
    v.object({ kind: v.literal('detached'), oid }),
    v.object({ kind: v.literal('unborn'), target }),
    v.object({ kind: v.literal('absent') }),
  ]),
  refs: v.array(
    v.object({
      name: v.string(),
      oid,
      peeled: v.exactOptional(oid),
      symrefTarget: v.exactOptional(v.string()),
      attributes: v.exactOptional(v.array(v.string())),
    }),
  ),
});

export class Advertised {
  readonly #storage: Storage;
  readonly #key: string;
  readonly #known: AdvertisedMemory;
  /** One call after the other, so that what was forgotten does not come back. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(storage: Storage, key: string, known: AdvertisedMemory) {
    this.#storage = storage;
    this.#key = key;
    this.#known = known;
  }

  /** Undefined where nothing is kept, or nothing that can be read: it is only a saving. */
  read(): Promise<AdvertisedRefs | undefined> {
    return this.#inTurn(async () => {
      const found = await this.#storage.readAll(this.#key, MAX_BYTES);
      const parsed = found.kind === 'absent' ? undefined : parseAdvertised(found.bytes);
      this.#known.stored = parsed?.refs;
      this.#known.isRead = true;
      return parsed;
    });
  }

  /** Keeps `advertised` where it differs from what is kept. */
  write(advertised: AdvertisedRefs): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#known.stored !== undefined && sameRefs(this.#known.stored, advertised.refs)) return;
      await this.#storage.put(this.#key, writeAdvertised(advertised));
      this.#known.stored = advertised.refs;
    });
  }

  forget(): Promise<void> {
    return this.#inTurn(async () => {
      this.#known.stored = undefined;
      await this.#storage.delete([this.#key]);
    });
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work);
    this.#last = turn.catch(() => undefined);
    return turn;
  }
}

export function writeAdvertised({ refs, sentAtMs }: AdvertisedRefs): Uint8Array {
  // Bytes that are no UTF-8 are lone surrogates here, which JSON writes as escapes.
  return new TextEncoder().encode(JSON.stringify({ format: 1, sentAtMs, head: refs.head, refs: refs.refs }));
}

/** Undefined where the bytes are not what `writeAdvertised` writes. */
export function parseAdvertised(bytes: Uint8Array): AdvertisedRefs | undefined {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return undefined;
  }
  const parsed = v.safeParse(SCHEMA, json);
  if (!parsed.success) return undefined;
  const { head, refs, sentAtMs } = parsed.output;
  return { refs: { head: head satisfies Head, refs: refs satisfies readonly Ref[] }, sentAtMs };
}
