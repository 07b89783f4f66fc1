/** Work on a store in the thread that has it open. Long walks give the event loop its turn. */
import type { Oid } from '../../bytes/oid.ts';
import type { StorageWriter } from '../../storage/contract.ts';
import type { ObjectStore } from '../object-store.ts';
import type { PackedObjects } from '../reading/packed-objects.ts';
import type { Bitset } from '../walk/bitset.ts';
import { createWalkCounters } from '../walk/contract.ts';
import { isReady } from '../walk/negotiate.ts';
import { closure, reachesAll } from '../walk/reachable.ts';
import { selectObjects } from '../walk/select-objects.ts';
import { createPackCounters } from '../writing/pack-query.ts';
import { indexOfObject } from '../writing/selected-objects.ts';
import { streamPack } from '../writing/stream-pack.ts';
import { streamWholeSet } from '../writing/stream-whole-set.ts';
import { wholeSetOf } from '../writing/whole-set.ts';
import type { AskedPack, PackEnd, PackInMaking, StoreAnswer, StoreQuestion, StoreWork } from './store-work.ts';

export interface WorkTools {
  /** Room for an object too large for memory; it is aborted after use. */
  readonly openScratch: () => Promise<StorageWriter>;
}

export function createWorkInPlace(store: ObjectStore & PackedObjects, tools: WorkTools): StoreWork {
  return new WorkInPlace(store, tools);
}

class WorkInPlace implements StoreWork {
  readonly #store: ObjectStore & PackedObjects;
  readonly #tools: WorkTools;
  /** The last one that was asked for: 1 bit an object. */
  #closure: { readonly key: string; readonly bits: Promise<Bitset> } | undefined;

  constructor(store: ObjectStore & PackedObjects, tools: WorkTools) {
    this.#store = store;
    this.#tools = tools;
  }

  async makePack({ query, ofsDelta }: AskedPack, signal: AbortSignal): Promise<PackInMaking> {
    const store = this.#store;
    const walked = createWalkCounters();
    const { objects, clientHas, shallow, unshallow } = await selectObjects(store, query, { signal, counters: walked });
    const whole = ofsDelta ? wholeSetOf(store, query, objects) : undefined;
    const added = query.includeTags.filter(({ tag }) => indexOfObject(objects, store.find(tag)) >= 0);
    const { openScratch } = this.#tools;
    const counters = createPackCounters();
    const options = { signal, counters, openScratch };
    const chunks = async function* (): AsyncGenerator<Uint8Array, PackEnd, undefined> {
      if (whole !== undefined) return { deflated: 0, whole: yield* streamWholeSet(store, whole, options) };
      yield* streamPack(store, { objects, clientHas, ofsDelta, thin: query.thin }, options);
      return { deflated: counters.deflated, whole };
    };
    return {
      head: {
        shallow,
        unshallow,
        objects: objects.length,
        addedTags: added.map(({ tag }) => tag),
        walked: walked.commitsRead + walked.treesRead + walked.tagsRead + walked.sizesAsked,
        whole,
      },
      chunks: chunks(),
      close: () => undefined,
    };
  }

  async ask<Q extends StoreQuestion>(question: Q, signal: AbortSignal): Promise<StoreAnswer<Q>> {
    return (await this.#answer(question, signal)) as StoreAnswer<Q>;
  }

  forgetBitmap(): void {
    this.#store.forgetBitmap();
  }

  async #answer(question: StoreQuestion, signal: AbortSignal): Promise<StoreAnswer<StoreQuestion>> {
    const store = this.#store;
    switch (question.kind) {
      case 'boundary': {
        const { shallow, unshallow } = await selectObjects(store, question.query, { signal });
        return { shallow, unshallow };
      }
      case 'bitmapped':
        store.forgetBitmap();
        return (await store.bitmaps?.()) !== undefined;
      case 'ready':
        return isReady(store, question, { signal });
      case 'reached':
        return reachesAll(store, question, { signal });
      case 'below': {
        const below = await this.#closureOf(question.roots, signal);
        const isBelow = (oid: Oid): boolean => {
          const object = store.find(oid);
          return object >= 0 && below.has(object);
        };
        return new Set(question.targets.filter(isBelow));
      }
    }
  }

  async #closureOf(roots: readonly Oid[], signal: AbortSignal): Promise<Bitset> {
    const key = roots.toSorted().join();
    const present = this.#closure;
    if (present?.key === key) {
      try {
        return await present.bits;
      } catch {
        // Whoever made it has left: make it for ourselves.
      }
    }
    const bits = closure(this.#store, roots, { signal });
    this.#closure = { key, bits };
    return bits;
  }
}
