/** A pack thread whose tasks are told by their pack's name what to do instead of indexing. */
import { parentPort, threadId, type MessagePort } from 'node:worker_threads';
import { serveTasks, type ThreadWork } from '../../../../adapters/threads/thread-tasks.ts';
import { HotpackError } from '../../../../src/bytes/error.ts';
import type { IngestParams } from '../../../../src/mirror/tasks.ts';

const runTask: ThreadWork['runTask'] = async (task, chunks, signal) => {
  const { packName } = task as IngestParams;
  switch (packName) {
    case 'count': {
      let bytes = 0;
      let sum = 0;
      for await (const chunk of chunks) {
        bytes += chunk.byteLength;
        for (const byte of chunk) sum += byte;
      }
      return { bytes, sum, threadId };
    }
    case 'take-one':
      for await (const chunk of chunks) return { bytes: chunk.byteLength, threadId };
      return { bytes: 0, threadId };
    case 'take-none':
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      throw signal.reason;
    case 'malformed':
      throw new HotpackError('malformed_pack', 'bad trailer', {
        detail: { offset: 12 },
        cause: new Error('the cause'),
      });
    case 'crash':
      setImmediate(() => {
        throw new Error('boom');
      });
      return new Promise(() => undefined);
    case 'deaf':
      return new Promise(() => undefined);
    default:
      throw new Error(`no such task: ${packName}`);
  }
};

serveTasks(parentPort as MessagePort, {
  runTask,
  openStore: () => Promise.reject(new Error('this thread opens no packs')),
});
