/**
 * Deno KV. A value holds 64 KiB there, so text is compressed and cut into pieces of one key each, written in one transaction and read
 * in one snapshot: a reader sees all of a text or none of it. Nearly every text is one piece.
 *
 *     ['hotpack', …segments, n]   { pieces, bytes }: piece n of `pieces`, together gzip of the text
 *
 * A text that became shorter leaves its last pieces behind, unread, until its key is deleted.
 */
import { gunzipSync, gzipSync } from 'node:zlib';
import { HotpackError } from '../../bytes/error.ts';
import type { Kv } from '../kv/contract.ts';
import { createKv } from '../kv/driver-kv.ts';

type Key = readonly (string | number)[];

/** The part of `Deno.Kv` that is used. */
export interface DenoKv {
  get(key: Key): Promise<{ readonly value: unknown }>;
  /** At most 10 keys, as of one moment. */
  getMany(keys: readonly Key[]): Promise<readonly { readonly value: unknown }[]>;
  list(selector: { readonly prefix: Key }): AsyncIterable<{ readonly key: Key }>;
  atomic(): DenoKvTransaction;
  close(): void;
}

interface DenoKvTransaction {
  set(key: Key, value: unknown): DenoKvTransaction;
  delete(key: Key): DenoKvTransaction;
  commit(): Promise<unknown>;
}

interface Piece {
  readonly pieces: number;
  readonly bytes: Uint8Array;
}

/** 64 KiB less what serialization adds. */
const PIECE_BYTES = 64_000;
/** A snapshot reads 10 keys; a transaction holds 800 KiB. */
const MAX_PIECES = 10;
/** Of a text, so that no compressed value fills the memory. */
const MAX_TEXT_BYTES = 64 * 2 ** 20;
const ROOT = 'hotpack';

/** Takes `kv` over: it ends with what is returned. */
export function openDenoKv(kv: DenoKv): Kv {
  const keyOf = (name: string, piece: number): Key => [ROOT, ...name.split(':'), piece];

  /** The rest of a text whose first piece was just read; read with it again, since it may have changed meanwhile. */
  async function readPieces(name: string, first: unknown): Promise<string | null> {
    if (first === null) return null;
    let found = [asPiece(name, first)];
    while (found.length !== (found[0] as Piece).pieces) {
      const { pieces } = found[0] as Piece;
      // oxlint-disable-next-line no-await-in-loop -- once more where it grew meanwhile
      const entries = await kv.getMany(Array.from({ length: pieces }, (_, n) => keyOf(name, n)));
      if (entries[0]?.value === null) return null;
      found = entries.map(({ value }) => asPiece(name, value)).slice(0, asPiece(name, entries[0]?.value).pieces);
    }
    return gunzipSync(Buffer.concat(found.map(({ bytes }) => bytes)), { maxOutputLength: MAX_TEXT_BYTES }).toString();
  }

  return createKv({
    name: 'deno-kv',
    getItem: async (name) => readPieces(name, (await kv.get(keyOf(name, 0))).value),
    async getItems(items) {
      const values: { key: string; value: string | null }[] = [];
      for (let at = 0; at < items.length; at += MAX_PIECES) {
        const names = items.slice(at, at + MAX_PIECES).map(({ key }) => key);
        // oxlint-disable-next-line no-await-in-loop -- no more than so many at once
        const firsts = await kv.getMany(names.map((name) => keyOf(name, 0)));
        for (const [n, key] of names.entries()) {
          // oxlint-disable-next-line no-await-in-loop -- nearly never more than was read
          values.push({ key, value: await readPieces(key, firsts[n]?.value) });
        }
      }
      return values;
    },
    async setItem(name, text) {
      const bytes = gzipSync(text);
      const pieces = Math.ceil(bytes.byteLength / PIECE_BYTES);
      if (pieces > MAX_PIECES) {
        throw new HotpackError('limit_exceeded', 'a text of Deno KV holds 640,000 bytes, compressed', {
          detail: { key: name, bytes: bytes.byteLength },
        });
      }
      const writing = kv.atomic();
      for (let n = 0; n < pieces; n++) {
        const piece: Piece = { pieces, bytes: new Uint8Array(bytes.subarray(n * PIECE_BYTES, (n + 1) * PIECE_BYTES)) };
        writing.set(keyOf(name, n), piece);
      }
      await writing.commit();
    },
    async removeItem(name) {
      const removing = kv.atomic();
      for (let n = 0; n < MAX_PIECES; n++) removing.delete(keyOf(name, n));
      await removing.commit();
    },
    async getKeys(base) {
      const names: string[] = [];
      for await (const { key } of kv.list({ prefix: [ROOT, ...base.split(':').filter((part) => part !== '')] })) {
        if (key.at(-1) === 0) names.push(key.slice(1, -1).join(':'));
      }
      return names;
    },
    dispose: () => kv.close(),
  });
}

function asPiece(name: string, value: unknown): Piece {
  const { pieces, bytes } = (value ?? {}) as Partial<Piece>;
  if (Number.isSafeInteger(pieces) && pieces! >= 1 && pieces! <= MAX_PIECES && bytes instanceof Uint8Array) {
    return { pieces: pieces!, bytes };
  }
  throw new TypeError(`what lies under ${name} is no piece of a text`);
}
