/** A pack thread whose packs are endless: how many chunks were written and how many packs let go of is what `boundary` answers. */
import { parentPort, type MessagePort } from 'node:worker_threads';
import { serveTasks } from '../../../../adapters/threads/thread-tasks.ts';
import { forOneTaker } from '../../../../src/bytes/give-back.ts';
import type { PackEnd, StoreAnswer, StoreQuestion } from '../../../../src/pack/work/store-work.ts';

const CHUNK_BYTES = 2 ** 18;

let written = 0;
let ended = 0;
let closed = 0;

async function* endless(signal: AbortSignal): AsyncGenerator<Uint8Array, PackEnd, undefined> {
  try {
    for (;;) {
      if (signal.aborted) throw signal.reason;
      written++;
      yield forOneTaker(new Uint8Array(CHUNK_BYTES).fill(written));
      // oxlint-disable-next-line no-await-in-loop -- messages come in between
      await new Promise((resolve) => setImmediate(resolve));
    }
  } finally {
    ended++;
  }
}

async function answer(question: StoreQuestion): Promise<StoreAnswer<StoreQuestion>> {
  switch (question.kind) {
    case 'boundary':
      return { shallow: [String(written)], unshallow: [String(ended), String(closed)] };
    case 'ready':
      setImmediate(() => {
        throw new Error('boom');
      });
      return new Promise(() => undefined);
    default:
      throw new Error(`not asked here: ${question.kind}`);
  }
}

serveTasks(parentPort as MessagePort, {
  runTask: () => Promise.reject(new Error('this thread takes no tasks')),
  openStore: async () => ({
    ask: (question) => answer(question) as Promise<never>,
    makePack: async (_asked, signal) => ({
      head: { shallow: [], unshallow: [], objects: 0, addedTags: [], walked: 0, whole: undefined },
      chunks: endless(signal),
      close: () => undefined,
    }),
    forgetBitmap: () => undefined,
    close: async () => void closed++,
  }),
});
