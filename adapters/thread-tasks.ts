/**
 * The pack thread's side: starts tasks as they are asked for, hands them their chunks, and tells the serving
 * thread how many bytes were taken, which is what holds the sender back.
 */
import type { MessagePort } from 'node:worker_threads';
import { HotpackError } from '../src/bytes/error.ts';
import type { PackTask } from '../src/mirror/tasks.ts';
import { decodeError, encodeError, type FromThread, type ToThread } from './thread-messages.ts';

export type RunTask = (task: PackTask, chunks: AsyncIterable<Uint8Array>, signal: AbortSignal) => Promise<unknown>;

export function serveTasks(port: MessagePort, runTask: RunTask): void {
  const running = new Map<number, RunningTask>();
  const send = (message: FromThread): void => port.postMessage(message);

  async function start(id: number, task: PackTask): Promise<void> {
    const one = new RunningTask((bytes) => send({ kind: 'taken', id, bytes }));
    running.set(id, one);
    try {
      const result = await runTask(task, one, one.aborter.signal);
      send({ kind: 'done', id, result });
    } catch (error) {
      send({ kind: 'failed', id, error: encodeError(error) });
    } finally {
      running.delete(id);
    }
  }

  port.on('message', (message: ToThread) => {
    if (message.kind === 'start') void start(message.id, message.task);
    // What comes for a task that has ended meanwhile is dropped.
    else running.get(message.id)?.take(message);
  });
}

/** The chunks of one task: an iterable that is filled by messages. */
class RunningTask implements AsyncIterable<Uint8Array> {
  readonly aborter: AbortController = new AbortController();
  readonly #onTaken: (bytes: number) => void;
  readonly #waiting: Uint8Array[] = [];
  #ended = false;
  #failure: Error | undefined;
  #wake: (() => void) | undefined;

  constructor(onTaken: (bytes: number) => void) {
    this.#onTaken = onTaken;
  }

  take(message: Exclude<ToThread, { kind: 'start' }>): void {
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
