/**
 * The thread's side: starts tasks as they are asked for, hands them their chunks, and tells the serving thread how many bytes were
 * taken, which is what holds the sender back. Work on open packs is in `thread-stores.ts`.
 */
import type { MessagePort } from 'node:worker_threads';
import { throwIfAborted } from '../../src/bytes/abort.ts';
import { HotpackError } from '../../src/bytes/error.ts';
import { takeOver } from '../../src/bytes/give-back.ts';
import type { PackTask } from '../../src/mirror/tasks.ts';
import type { PackEnd, PackHead, PackInMaking } from '../../src/pack/work/store-work.ts';
import { decodeError, encodeError, type FromThread, type ToThread } from './thread-messages.ts';
import { ThreadStores, type OpenStore } from './thread-stores.ts';
import { Window } from './window.ts';

/** Of a pack, ahead of who takes it. */
const PACK_WINDOW_BYTES = 2 ** 20;

export interface ThreadWork {
  readonly runTask: (task: PackTask, chunks: AsyncIterable<Uint8Array>, signal: AbortSignal) => Promise<unknown>;
  readonly openStore: OpenStore;
}

/** What comes for a call that is under way. */
type CallMessage = Extract<ToThread, { readonly kind: 'chunk' | 'end' | 'source_failed' | 'abort' | 'took' }>;

interface RunningCall {
  take(message: CallMessage): void;
}

export function serveTasks(port: MessagePort, { runTask, openStore }: ThreadWork): void {
  const running = new Map<number, RunningCall>();
  const stores = new ThreadStores(openStore);
  const send = (message: FromThread, transfer: readonly ArrayBuffer[] = []): void =>
    port.postMessage(message, [...transfer]);

  function start(id: number, call: RunningCall, work: Promise<unknown>): void {
    running.set(id, call);
    const ended = (message: FromThread): void => {
      running.delete(id);
      send(message);
    };
    work.then(
      (result) => ended({ kind: 'done', id, result }),
      (error: unknown) => ended({ kind: 'failed', id, error: encodeError(error) }),
    );
  }

  port.on('message', (message: ToThread) => {
    switch (message.kind) {
      case 'start': {
        const { id, task } = message;
        const call = new RunningTask((bytes) => send({ kind: 'taken', id, bytes }));
        return start(id, call, runTask(task, call, call.aborter.signal));
      }
      case 'ask': {
        const { id, store, question } = message;
        const call = new RunningQuestion();
        return start(id, call, stores.ask(store, question, call.aborter.signal));
      }
      case 'make_pack': {
        const { id, store, asked } = message;
        const call = new RunningPack();
        const told = {
          head: (head: PackHead) => send({ kind: 'head', id, head }),
          made: (bytes: Uint8Array<ArrayBuffer>) => send({ kind: 'made', id, bytes }, [bytes.buffer]),
        };
        return start(id, call, call.send(stores.makePack(store, asked, call.aborter.signal), told));
      }
      case 'open_store':
        return stores.open(message.store, message.place);
      case 'close_store':
        return stores.close(message.store);
      case 'forget_bitmap':
        return stores.forgetBitmap(message.store);
      default:
        // What comes for a call that has ended meanwhile is dropped.
        running.get(message.id)?.take(message);
    }
  });
}

class RunningQuestion implements RunningCall {
  readonly aborter: AbortController = new AbortController();

  take(message: CallMessage): void {
    if (message.kind === 'abort') this.aborter.abort(new HotpackError('aborted', 'the question was aborted'));
  }
}

/** A pack on its way to the serving thread, no faster than it is taken there. */
class RunningPack implements RunningCall {
  readonly aborter: AbortController = new AbortController();
  readonly #window = new Window(PACK_WINDOW_BYTES);

  take(message: CallMessage): void {
    if (message.kind === 'took') this.#window.give(message.bytes);
    if (message.kind !== 'abort') return;
    this.aborter.abort(new HotpackError('aborted', 'the pack was aborted'));
    this.#window.close();
  }

  async send(
    making: Promise<PackInMaking>,
    told: { readonly head: (head: PackHead) => void; readonly made: (bytes: Uint8Array<ArrayBuffer>) => void },
  ): Promise<PackEnd> {
    const pack = await making;
    const { chunks } = pack;
    try {
      told.head(pack.head);
      for (;;) {
        await this.#window.open();
        const { done, value } = await chunks.next();
        throwIfAborted(this.aborter.signal);
        if (done === true) return value;
        const bytes = takeOver(value);
        this.#window.use(bytes.byteLength);
        told.made(bytes);
      }
    } finally {
      await chunks.return({ deflated: 0, whole: undefined }).catch(() => undefined);
      pack.close();
    }
  }
}

/** The chunks of one task: an iterable that is filled by messages. */
class RunningTask implements RunningCall, AsyncIterable<Uint8Array> {
  readonly aborter: AbortController = new AbortController();
  readonly #onTaken: (bytes: number) => void;
  readonly #waiting: Uint8Array[] = [];
  #ended = false;
  #failure: Error | undefined;
  #wake: (() => void) | undefined;

  constructor(onTaken: (bytes: number) => void) {
    this.#onTaken = onTaken;
  }

  take(message: CallMessage): void {
    switch (message.kind) {
      case 'chunk':
        this.#waiting.push(message.bytes);
        break;
      case 'end':
        this.#ended = true;
        break;
      case 'source_failed':
        this.#failure = decodeError(message.error);
        break;
      case 'abort':
        this.#failure = new HotpackError('aborted', 'the pack task was aborted');
        this.aborter.abort(this.#failure);
        break;
      case 'took':
        break;
    }
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure;
      const chunk = this.#waiting.shift();
      if (chunk !== undefined) {
        this.#onTaken(chunk.byteLength);
        yield chunk;
        // A chunk is good until the next one is asked for. Then its memory goes at once: arrays that only wait for the
        // garbage collector would be most of what an ingest holds.
        (chunk.buffer as ArrayBuffer).transfer(0);
      } else if (this.#ended) {
        return;
      } else {
        await new Promise<void>((resolve) => (this.#wake = resolve));
        this.#wake = undefined;
      }
    }
  }
}
