/**
 * One worker thread, and the calls that are under way in it. It keeps the process alive only while it works; when it dies
 * all its calls fail.
 */
import { Worker } from 'node:worker_threads';
import { abortError } from '../../src/bytes/abort.ts';
import { decodeError, type FromThread, type ThreadData, type ToThread } from './thread-messages.ts';

/** What a call is told before it ends. */
export type Progress = Exclude<FromThread, { readonly kind: 'done' | 'failed' }>;

export interface ThreadOptions {
  /** The module that a thread runs: it calls `serveTasks`. */
  readonly entry: URL;
  /** Handed to it as `workerData`. */
  readonly data: ThreadData;
  /** How long an aborted call may take to let go before its thread is ended with all its calls. */
  readonly stopWithinMs: number;
  /** Told when a thread ended that should not have. */
  readonly onLost?: ((error: Error) => void) | undefined;
}

export interface Call {
  readonly id: number;
  /** What it was done with. Rejects with its own HotpackError, or with `aborted` once it has let go. */
  readonly result: Promise<unknown>;
}

interface Waiting {
  readonly onProgress: (progress: Progress) => void;
  readonly settle: (message: Extract<FromThread, { readonly kind: 'done' | 'failed' }>) => void;
  readonly lose: (error: Error) => void;
}

export class ThreadLink {
  /** Resolves when it runs, or has ended. */
  readonly online: Promise<void>;
  readonly #worker: Worker;
  readonly #stopWithinMs: number;
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 0;
  #closing = false;
  #crash: Error | undefined;

  constructor({ entry, data, stopWithinMs, onLost }: ThreadOptions, onEnd: () => void) {
    this.#stopWithinMs = stopWithinMs;
    this.#worker = new Worker(entry, { workerData: data });
    this.#worker.unref();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.online = promise;
    this.#worker.once('online', resolve);
    this.#worker.on('message', (message: FromThread) => this.#receive(message));
    this.#worker.on('messageerror', (error) => this.#end(error));
    this.#worker.on('error', (error) => (this.#crash = error instanceof Error ? error : new Error(String(error))));
    this.#worker.on('exit', (code) => {
      onEnd();
      resolve();
      const lost = new Error(`a pack thread ended with ${code}`, { cause: this.#crash });
      for (const waiting of this.#waiting.values()) waiting.lose(lost);
      if (!this.#closing) onLost?.(lost);
    });
  }

  /** How many calls are under way. */
  get load(): number {
    return this.#waiting.size;
  }

  /** `begin` makes the first message out of the call's id. Throws `aborted` where the signal is. */
  call(
    begin: (id: number) => ToThread,
    options: { readonly signal: AbortSignal; readonly onProgress?: (progress: Progress) => void },
  ): Call {
    const { signal, onProgress = () => undefined } = options;
    if (signal.aborted) throw abortError(signal);
    const id = this.#nextId++;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    let deadline: ReturnType<typeof setTimeout> | undefined;
    const onAbort = (): void => {
      this.send({ kind: 'abort', id });
      deadline = setTimeout(() => this.#end(new Error('an aborted call did not let go')), this.#stopWithinMs);
    };
    const ended = (): void => {
      signal.removeEventListener('abort', onAbort);
      clearTimeout(deadline);
      this.#waiting.delete(id);
      if (this.#waiting.size === 0) this.#worker.unref();
    };
    const fail = (error: Error): void => {
      ended();
      reject(signal.aborted ? abortError(signal) : error);
    };
    this.#waiting.set(id, {
      onProgress,
      settle: (message) => {
        if (message.kind === 'failed') return fail(decodeError(message.error));
        ended();
        resolve(message.result);
      },
      lose: fail,
    });
    this.#worker.ref();
    signal.addEventListener('abort', onAbort, { once: true });
    this.send(begin(id));
    return { id, result: promise };
  }

  send(message: ToThread, transfer: readonly ArrayBuffer[] = []): void {
    this.#worker.postMessage(message, [...transfer]);
  }

  async close(): Promise<void> {
    this.#closing = true;
    await this.#worker.terminate();
  }

  #receive(message: FromThread): void {
    const waiting = this.#waiting.get(message.id);
    if (message.kind === 'done' || message.kind === 'failed') waiting?.settle(message);
    else waiting?.onProgress(message);
  }

  #end(reason: Error): void {
    this.#crash ??= reason;
    void this.#worker.terminate();
  }
}
