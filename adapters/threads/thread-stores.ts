/**
 * The packs that the serving thread has open, as its threads have them: opened as soon as they are named, so that they can be read
 * also where they are removed afterwards; where that fails, again by who asks.
 */
import { HotpackError } from '../../src/bytes/error.ts';
import type { OpenStoreWork, StorePlace } from '../../src/mirror/tasks.ts';
import type { AskedPack, PackInMaking, StoreAnswer, StoreQuestion } from '../../src/pack/work/store-work.ts';

export type OpenStore = (place: StorePlace) => Promise<OpenStoreWork>;

interface Known {
  readonly place: StorePlace;
  opening: Promise<OpenStoreWork> | undefined;
}

export class ThreadStores {
  readonly #openStore: OpenStore;
  readonly #known = new Map<number, Known>();

  constructor(openStore: OpenStore) {
    this.#openStore = openStore;
  }

  open(store: number, place: StorePlace): void {
    this.#known.set(store, { place, opening: undefined });
    this.#work(store).catch(() => undefined);
  }

  close(store: number): void {
    const known = this.#known.get(store);
    this.#known.delete(store);
    known?.opening?.then(
      (work) => work.close(),
      () => undefined,
    );
  }

  forgetBitmap(store: number): void {
    this.#known.get(store)?.opening?.then(
      (work) => work.forgetBitmap(),
      () => undefined,
    );
  }

  async ask(store: number, question: StoreQuestion, signal: AbortSignal): Promise<StoreAnswer<StoreQuestion>> {
    return (await this.#work(store)).ask(question, signal);
  }

  async makePack(store: number, asked: AskedPack, signal: AbortSignal): Promise<PackInMaking> {
    return (await this.#work(store)).makePack(asked, signal);
  }

  #work(store: number): Promise<OpenStoreWork> {
    const known = this.#known.get(store);
    if (known === undefined) {
      return Promise.reject(new HotpackError('invalid_argument', 'these packs are not open any more'));
    }
    if (known.opening !== undefined) return known.opening;
    const opening = this.#openStore(known.place);
    known.opening = opening;
    // Who asks next tries again.
    opening.catch(() => (known.opening = undefined));
    return opening;
  }
}
