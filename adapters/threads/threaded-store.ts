/**
 * Open packs as the serving thread asks about them: each question goes to the thread that has least to do. One opens the packs at
 * once, others when they are first asked. A pack comes back as it is written, at most `PACK_WINDOW_BYTES` of it ahead of who takes it; its chunks
 * are transferred, not copied.
 */
import { forOneTaker, giveBack } from '../../src/bytes/give-back.ts';
import type { OpenStoreWork, StorePlace } from '../../src/mirror/tasks.ts';
import type {
  AskedPack,
  PackEnd,
  PackHead,
  PackInMaking,
  StoreAnswer,
  StoreQuestion,
} from '../../src/pack/work/store-work.ts';
import type { Call, Progress, ThreadLink } from './thread-link.ts';
import type { ThreadPool } from './thread-pool.ts';

/** No two stores have one name, whichever pool they are of. */
let lastStore = 0;

export class ThreadedStore implements OpenStoreWork {
  readonly #pool: ThreadPool;
  readonly #place: StorePlace;
  readonly #store = ++lastStore;
  /** Those who know it. */
  readonly #links = new Set<ThreadLink>();

  constructor(pool: ThreadPool, place: StorePlace) {
    this.#pool = pool;
    this.#place = { ...place, cacheBytes: Math.floor(place.cacheBytes / pool.size) };
    this.#link();
  }

  async ask<Q extends StoreQuestion>(question: Q, signal: AbortSignal): Promise<StoreAnswer<Q>> {
    const { result } = this.#link().call((id) => ({ kind: 'ask', id, store: this.#store, question }), { signal });
    return (await result) as StoreAnswer<Q>;
  }

  async makePack(asked: AskedPack, signal: AbortSignal): Promise<PackInMaking> {
    const pack = new PackFromThread(this.#link(), { store: this.#store, asked, signal });
    return { head: await pack.head, chunks: pack.chunks(), close: () => pack.close() };
  }

  forgetBitmap(): void {
    for (const link of this.#links) link.send({ kind: 'forget_bitmap', store: this.#store });
  }

  async close(): Promise<void> {
    for (const link of this.#links) link.send({ kind: 'close_store', store: this.#store });
    this.#links.clear();
  }

  #link(): ThreadLink {
    const link = this.#pool.leastBusy();
    if (!this.#links.has(link)) {
      this.#links.add(link);
      link.send({ kind: 'open_store', store: this.#store, place: this.#place });
    }
    return link;
  }
}

type Outcome = { readonly kind: 'ended'; readonly end: PackEnd } | { readonly kind: 'failed'; readonly error: unknown };

class PackFromThread {
  /** Rejects where the pack cannot be begun. */
  readonly head: Promise<PackHead>;
  readonly #link: ThreadLink;
  readonly #call: Call;
  readonly #aborter = new AbortController();
  readonly #here: Uint8Array[] = [];
  readonly #headCame: (head: PackHead) => void;
  #outcome: Outcome | undefined;
  #wake: (() => void) | undefined;

  constructor(
    link: ThreadLink,
    { store, asked, signal }: { readonly store: number; readonly asked: AskedPack; readonly signal: AbortSignal },
  ) {
    this.#link = link;
    const { promise, resolve, reject } = Promise.withResolvers<PackHead>();
    this.head = promise;
    this.#headCame = resolve;
    const stop = (): void => this.#aborter.abort(signal.reason);
    if (signal.aborted) stop();
    this.#call = link.call((id) => ({ kind: 'make_pack', id, store, asked }), {
      signal: this.#aborter.signal,
      onProgress: (progress) => this.#receive(progress),
    });
    signal.addEventListener('abort', stop, { once: true });
    const ended = (outcome: Outcome): void => {
      signal.removeEventListener('abort', stop);
      this.#outcome = outcome;
      this.#wake?.();
    };
    this.#call.result.then(
      (end) => ended({ kind: 'ended', end: end as PackEnd }),
      (error: unknown) => {
        reject(error as Error);
        ended({ kind: 'failed', error });
      },
    );
  }

  async *chunks(): AsyncGenerator<Uint8Array, PackEnd, undefined> {
    try {
      for (;;) {
        const chunk = this.#here.shift();
        if (chunk !== undefined) {
          const { id } = this.#call;
          this.#link.send({ kind: 'took', id, bytes: chunk.byteLength });
          yield forOneTaker(chunk);
        } else if (this.#outcome?.kind === 'ended') {
          return this.#outcome.end;
        } else if (this.#outcome?.kind === 'failed') {
          throw this.#outcome.error;
        } else {
          await new Promise<void>((resolve) => (this.#wake = resolve));
        }
      }
    } finally {
      this.close();
    }
  }

  close(): void {
    if (this.#outcome === undefined) this.#aborter.abort();
    for (const chunk of this.#here.splice(0)) giveBack(forOneTaker(chunk));
  }

  #receive(progress: Progress): void {
    if (progress.kind === 'head') this.#headCame(progress.head);
    else if (progress.kind === 'made') {
      // Who has closed it takes nothing more.
      if (this.#aborter.signal.aborted) return;
      this.#here.push(progress.bytes);
      this.#wake?.();
    }
  }
}
