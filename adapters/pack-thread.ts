/** What a pack thread of Node and of Deno runs: the tasks, over a storage of its own. */
import { constants, setPriority } from 'node:os';
import { parentPort, workerData, type MessagePort } from 'node:worker_threads';
import { runPackTask } from '../src/mirror/tasks.ts';
import { openStorage } from './open-storage.ts';
import type { ThreadStorage } from './thread-messages.ts';
import { serveTasks } from './thread-tasks.ts';

try {
  // On Linux that is this thread alone: indexing yields to the streams that are being served, here and at their clients.
  setPriority(constants.priority.PRIORITY_BELOW_NORMAL);
} catch {
  // Not allowed to: then all are equal.
}

const place = workerData as ThreadStorage;
// Opened with the first task and kept; a storage that cannot be opened fails each task with its own error.
let opening: ReturnType<typeof openStorage> | undefined;

serveTasks(parentPort as MessagePort, async (task, chunks, signal) => {
  opening ??= openStorage(place);
  try {
    return await runPackTask(await opening, task, chunks, signal);
  } catch (error) {
    await opening.catch(() => (opening = undefined));
    throw error;
  }
});
