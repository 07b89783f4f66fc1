/** What a pack thread of Node and of Deno runs: tasks and work on open packs, over a storage of its own. */
import { constants, setPriority } from 'node:os';
import { parentPort, workerData, type MessagePort } from 'node:worker_threads';
import { openStoreWork } from '../../src/mirror/copy/open-work.ts';
import { runPackTask } from '../../src/mirror/tasks.ts';
import type { DriverStorage } from '../../src/storage/drivers/unstorage-driver.ts';
import { openCachedStorage, openStorage } from '../open-storage.ts';
import type { ThreadData } from './thread-messages.ts';
import { serveTasks } from './thread-tasks.ts';

const { storage: place, caching, isBackground, readsInPlace } = workerData as ThreadData;

try {
  // On Linux that is this thread alone: indexing yields to the streams that are being served, here and at their clients.
  if (isBackground) setPriority(constants.priority.PRIORITY_BELOW_NORMAL);
} catch {
  // Not allowed to: then all are equal.
}

const forTasks = opened(() => openStorage(place));
const forStores = opened(() => openCachedStorage(place, caching, { readsInPlace }));

serveTasks(parentPort as MessagePort, {
  runTask: async (task, chunks, signal) => runPackTask(await forTasks(), task, chunks, signal),
  openStore: async (store) => openStoreWork(await forStores(), store),
});

/** Opened when it is first needed and kept; one that cannot be opened fails each who asks with its own error. */
function opened(open: () => Promise<DriverStorage>): () => Promise<DriverStorage> {
  let opening: Promise<DriverStorage> | undefined;
  return () => {
    opening ??= open().catch((error: unknown) => {
      opening = undefined;
      throw error;
    });
    return opening;
  };
}
