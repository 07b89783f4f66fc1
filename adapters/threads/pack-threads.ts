/**
 * Pack work in worker threads: the serving thread goes on while packs are indexed, and while answers are selected and written.
 * Tasks run in threads of lower priority; work on open packs, for which clients wait, in threads of its own.
 */
import type { PackTask, PackTaskResult, PackThreads } from '../../src/mirror/tasks.ts';
import { ThreadedStore } from './threaded-store.ts';
import type { ThreadLink } from './thread-link.ts';
import { encodeError, type ThreadData } from './thread-messages.ts';
import { ThreadPool } from './thread-pool.ts';
import { Window } from './window.ts';

const STOP_WITHIN_MS = 10_000;
/** On the way to one task; the thread says what its task has taken. */
const WINDOW_BYTES = 4 * 2 ** 20;
const MESSAGE_BYTES = 2 ** 20;

export interface PackThreadsOptions extends Omit<ThreadData, 'isBackground'> {
  /** The module that a thread runs: it calls `serveTasks`. */
  readonly entry: URL;
  /** For tasks. */
  readonly threads: number;
  /** For work on open packs. */
  readonly servingThreads: number;
  /** How long an aborted task may take to let go before its thread is ended with all its tasks. */
  readonly stopWithinMs?: number;
  /** Told when a thread ended that should not have. */
  readonly onLost?: (error: Error) => void;
}

export interface PackThreadPool extends PackThreads {
  /** Resolves when the thread that is started at once runs. */
  readonly online: Promise<void>;
  /** Ends the threads; running tasks reject. */
  close(): Promise<void>;
}

export function createPackThreads(options: PackThreadsOptions): PackThreadPool {
  const { entry, threads, servingThreads, stopWithinMs = STOP_WITHIN_MS, onLost } = options;
  const { storage, caching, readsInPlace } = options;
  const pool = (isBackground: boolean, most: number): ThreadPool =>
    new ThreadPool({ entry, data: { storage, caching, isBackground, readsInPlace }, stopWithinMs, onLost }, most);
  const background = pool(true, threads);
  const serving = pool(false, servingThreads);
  // Started before it is needed: the first client need not wait for it.
  const { online } = serving.leastBusy();
  return {
    online,
    run: (task, chunks, signal) => runTask(background.leastBusy(), task, { chunks, signal }),
    openStore: (place) => new ThreadedStore(serving, place),
    async close() {
      await Promise.all([background.close(), serving.close()]);
    },
  };
}

async function runTask<T extends PackTask>(
  link: ThreadLink,
  task: T,
  { chunks, signal }: { readonly chunks: AsyncIterable<Uint8Array>; readonly signal: AbortSignal },
): Promise<PackTaskResult<T>> {
  const window = new Window(WINDOW_BYTES);
  const call = link.call((id) => ({ kind: 'start', id, task }), {
    signal,
    onProgress: (progress) => {
      if (progress.kind === 'taken') window.give(progress.bytes);
    },
  });
  void feed(link, call.id, chunks, window);
  try {
    return (await call.result) as PackTaskResult<T>;
  } finally {
    window.close();
  }
}

/** Sends the chunks as the window allows. Never rejects: a source that fails is told to the task. */
async function feed(link: ThreadLink, id: number, chunks: AsyncIterable<Uint8Array>, window: Window): Promise<void> {
  try {
    for await (const chunk of chunks) {
      for (let offset = 0; offset < chunk.byteLength; offset += MESSAGE_BYTES) {
        await window.open();
        if (window.closed) return;
        // Copied, since the source may share its buffer (a client may be reading the same bytes); the copy is transferred.
        const bytes = new Uint8Array(chunk.subarray(offset, offset + MESSAGE_BYTES));
        window.use(bytes.byteLength);
        link.send({ kind: 'chunk', id, bytes }, [bytes.buffer]);
      }
      if (window.closed) return;
    }
    link.send({ kind: 'end', id });
  } catch (error) {
    link.send({ kind: 'source_failed', id, error: encodeError(error) });
  }
}
