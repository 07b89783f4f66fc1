/**
 * A pack whose bytes lie in the store already, as the writer that indexing asks for: what it writes is there, what it reads
 * back comes from there. Only for packs that nothing is appended to: those that hold all bases of their deltas.
 */
import { HotpackError } from '../../bytes/error.ts';
import type { StorageReader, StorageWriter } from '../../storage/contract.ts';

export function openStoredPack(reader: StorageReader): StorageWriter {
  let bytesWritten = 0;
  return {
    key: reader.info.key,
    get bytesWritten() {
      return bytesWritten;
    },
    async write(chunk) {
      if (bytesWritten + chunk.length > reader.bytes) throw complete(reader);
      bytesWritten += chunk.length;
    },
    read: (offset, length) => reader.read(offset, length),
    rewriteHead: () => Promise.reject(complete(reader)),
    commit: () => Promise.resolve(),
    abort: () => Promise.resolve(),
  };
}

function complete(reader: StorageReader): HotpackError {
  return new HotpackError('malformed_pack', 'malformed pack: deltas whose base is nowhere', {
    detail: { key: reader.info.key },
  });
}
