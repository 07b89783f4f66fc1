/** What the serving thread and a pack thread say to each other. Plain data; `bytes` are transferred, never shared. */
import { HotpackError, type ErrorCode } from '../../src/bytes/error.ts';
import type { PackTask, StorePlace } from '../../src/mirror/tasks.ts';
import type { AskedPack, PackHead, StoreQuestion } from '../../src/pack/work/store-work.ts';
import type { ReadCaching, StoragePlace } from '../open-storage.ts';

/** What a thread is started with. */
export interface ThreadData {
  /** What it needs to open the storage for itself: only kinds that several threads can see. */
  readonly storage: SharedPlace;
  /** Of what work on open packs reads. */
  readonly caching: ReadCaching;
  /** It yields to those who serve. */
  readonly isBackground: boolean;
  /** Of work on open packs: see `in-place-reads.ts`. */
  readonly readsInPlace: boolean;
}

export type SharedPlace = Exclude<StoragePlace, { readonly kind: 'memory' }>;

export type ToThread =
  | { readonly kind: 'start'; readonly id: number; readonly task: PackTask }
  | { readonly kind: 'chunk'; readonly id: number; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly kind: 'end'; readonly id: number }
  /** The source of the chunks failed: the task sees this error where it reads. */
  | { readonly kind: 'source_failed'; readonly id: number; readonly error: SentError }
  | { readonly kind: 'abort'; readonly id: number }
  /** From now on `store` names these packs. */
  | { readonly kind: 'open_store'; readonly store: number; readonly place: StorePlace }
  | { readonly kind: 'close_store'; readonly store: number }
  | { readonly kind: 'forget_bitmap'; readonly store: number }
  | { readonly kind: 'ask'; readonly id: number; readonly store: number; readonly question: StoreQuestion }
  | { readonly kind: 'make_pack'; readonly id: number; readonly store: number; readonly asked: AskedPack }
  /** So many bytes of the pack were taken: as many may follow. */
  | { readonly kind: 'took'; readonly id: number; readonly bytes: number };

export type FromThread =
  /** The task took that many bytes: as many may follow. */
  | { readonly kind: 'taken'; readonly id: number; readonly bytes: number }
  /** Of a pack, before its first byte. */
  | { readonly kind: 'head'; readonly id: number; readonly head: PackHead }
  | { readonly kind: 'made'; readonly id: number; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly kind: 'done'; readonly id: number; readonly result: unknown }
  | { readonly kind: 'failed'; readonly id: number; readonly error: SentError };

/** An error as it crosses threads: structured clone would lose its class and code. */
export interface SentError {
  readonly name: string;
  readonly message: string;
  readonly code?: ErrorCode;
  readonly detail?: Readonly<Record<string, unknown>>;
  readonly stack?: string;
  readonly cause?: SentError;
}

const MAX_CAUSES = 4;

export function encodeError(error: unknown, causes = 0): SentError {
  if (!(error instanceof Error)) return { name: 'Error', message: String(error) };
  return {
    name: error.name,
    message: error.message,
    ...(error.stack === undefined ? {} : { stack: error.stack }),
    ...(error instanceof HotpackError ? { code: error.code, detail: plain(error.detail) } : {}),
    ...(error.cause === undefined || causes === MAX_CAUSES ? {} : { cause: encodeError(error.cause, causes + 1) }),
  };
}

export function decodeError(sent: SentError): Error {
  const cause = sent.cause === undefined ? {} : { cause: decodeError(sent.cause) };
  const error =
    sent.code === undefined
      ? Object.assign(new Error(sent.message, cause), { name: sent.name })
      : new HotpackError(sent.code, sent.message, { detail: sent.detail ?? {}, ...cause });
  if (sent.stack !== undefined) error.stack = sent.stack;
  return error;
}

/** What structured clone refuses (functions, streams) becomes text. */
function plain(detail: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  try {
    return structuredClone(detail);
  } catch {
    return Object.fromEntries(Object.entries(detail).map(([name, value]) => [name, String(value)]));
  }
}
