/**
 * Pack work in worker threads: the serving thread goes on while packs are indexed. Few threads, each for several tasks;
 * a thread is started when it is first needed, keeps the process alive only while it works, and is replaced when it
 * dies. Bytes on the way to one task are bounded by `WINDOW_BYTES`: the thread says what its task has taken.
 */
import { Worker } from 'node:worker_threads';
import { abortError } from '../src/bytes/abort.ts';
import type { PackTask, PackTaskResult, PackThreads } from '../src/mirror/tasks.ts';
import { decodeError, encodeError, type FromThread, type ThreadStorage, type ToThread } from './thread-messages.ts';

const WINDOW_BYTES = 4 * 2 ** 20;
const MESSAGE_BYTES = 2 ** 20;

export interface PackThreadsOptions {
  /** The module that a thread runs: it calls `serveTasks`. */
  readonly entry: URL;
  /** Handed to it as `workerData`. */
  readonly storage: ThreadStorage;
  readonly threads: number;
  /** How long an aborted task may take to let go before its thread is ended with all its tasks. */
  readonly stopWithinMs?: number;
  /** Told when a thread ended that should not have. */
  readonly onLost?: (error: Error) => void;
}

export interface PackThreadPool extends PackThreads {
  /** Ends the threads; running tasks reject. */
  close(): Promise<void>;
}

export function createPackThreads(options: PackThreadsOptions): PackThreadPool {
  const pool: PackThread[] = [];

  function leastBusy(): PackThread {
    const idle = pool.find((thread) => thread.load === 0);
    if (idle !== undefined) return idle;
    if (pool.length < options.threads) {
      const thread = new PackThread(options, () => void pool.splice(pool.indexOf(thread), 1));
      pool.push(thread);
      return thread;
    }
    return pool.reduce((least, thread) => (thread.load < least.load ? thread : least));
  }

  return {
    run: (task, chunks, signal) => leastBusy().run(task, chunks, signal),
    async close() {
      await Promise.all(pool.map((thread) => thread.close()));
    },
  };
}

interface Waiting {
  settle(message: Exclude<FromThread, { kind: 'taken' }>): void;
  taken(bytes: number): void;
  lose(error: Error): void;
}

class PackThread {
  readonly #worker: Worker;
  readonly #stopWithinMs: number;
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 0;
  #closing = false;
  #crash: Error | undefined;

  constructor(options: PackThreadsOptions, onEnd: () => void) {
    this.#stopWithinMs = options.stopWithinMs ?? 10_000;
    this.#worker = new Worker(options.entry, { workerData: options.storage });
    this.#worker.unref();
    this.#worker.on('message', (message: FromThread) => this.#receive(message));
    this.#worker.on('messageerror', (error) => this.#end(error));
    this.#worker.on('error', (error) => (this.#crash = error instanceof Error ? error : new Error(String(error))));
    this.#worker.on('exit', (code) => {
      onEnd();
      const lost = new Error(`a pack thread ended with ${code}`, { cause: this.#crash });
      for (const waiting of this.#waiting.values()) waiting.lose(lost);
      if (!this.#closing) options.onLost?.(lost);
    });
  }

  /** How many tasks it runs. */
  get load(): number {
    return this.#waiting.size;
  }

  async run<T extends PackTask>(
    task: T,
    chunks: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<PackTaskResult<T>> {
    if (signal.aborted) throw abortError(signal);
    const id = this.#nextId++;
    const window = new Window();
    const { promise, resolve, reject } = Promise.withResolvers<PackTaskResult<T>>();
    this.#waiting.set(id, {
      settle: (message) => {
        if (message.kind === 'done') resolve(message.result as PackTaskResult<T>);
        else reject(signal.aborted ? abortError(signal) : decodeError(message.error));
      },
      taken: (bytes) => window.give(bytes),
      lose: (error) => reject(signal.aborted ? abortError(signal) : error),
    });
    this.#worker.ref();

    let deadline: ReturnType<typeof setTimeout> | undefined;
    const onAbort = (): void => {
      this.#send({ kind: 'abort', id });
      deadline = setTimeout(() => this.#end(new Error('an aborted pack task did not let go')), this.#stopWithinMs);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    this.#send({ kind: 'start', id, task });
    void this.#feed(id, chunks, window);
    try {
      return await promise;
    } finally {
      window.close();
      signal.removeEventListener('abort', onAbort);
      clearTimeout(deadline);
      this.#waiting.delete(id);
      if (this.#waiting.size === 0) this.#worker.unref();
    }
  }

  async close(): Promise<void> {
    this.#closing = true;
    await this.#worker.terminate();
  }

  /** Sends the chunks as the window allows. Never rejects: a source that fails is told to the task. */
  async #feed(id: number, chunks: AsyncIterable<Uint8Array>, window: Window): Promise<void> {
    try {
      for await (const chunk of chunks) {
        for (let offset = 0; offset < chunk.byteLength; offset += MESSAGE_BYTES) {
          await window.open();
          if (window.closed) return;
          // Copied, since the source may share its buffer (a client may be reading the same bytes); the copy is transferred.
          const bytes = new Uint8Array(chunk.subarray(offset, offset + MESSAGE_BYTES));
          window.use(bytes.byteLength);
          this.#send({ kind: 'chunk', id, bytes }, [bytes.buffer]);
        }
        if (window.closed) return;
      }
      this.#send({ kind: 'end', id });
    } catch (error) {
      this.#send({ kind: 'source_failed', id, error: encodeError(error) });
    }
  }

  #send(message: ToThread, transfer: readonly ArrayBuffer[] = []): void {
    this.#worker.postMessage(message, [...transfer]);
  }

  #receive(message: FromThread): void {
    const waiting = this.#waiting.get(message.id);
    if (message.kind === 'taken') waiting?.taken(message.bytes);
    else waiting?.settle(message);
  }

  #end(reason: Error): void {
    this.#crash ??= reason;
    void this.#worker.terminate();
  }
}

/** Counts the bytes that were sent and not yet taken. */
class Window {
  closed = false;
  #bytes = 0;
  #wake: (() => void) | undefined;

  use(bytes: number): void {
    this.#bytes += bytes;
  }

  give(bytes: number): void {
    this.#bytes -= bytes;
    if (this.#bytes < WINDOW_BYTES) this.#wake?.();
  }

  /** Resolves when a further message may be sent, or at the end. */
  async open(): Promise<void> {
    while (this.#bytes >= WINDOW_BYTES && !this.closed) {
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  close(): void {
    this.closed = true;
    this.#wake?.();
  }
}
