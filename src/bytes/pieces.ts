/**
 * Reads a body that came over the network. Where the runtime lets it, it is read into memory of ours: workerd gives pieces of 4 KiB
 * otherwise, each with all that a piece costs. And after every MiB the event loop has its turn: a body whose next bytes are always
 * there already keeps workerd from ever looking at its other connections.
 */
import { StreamTurns } from './turn.ts';

const PIECE_BYTES = 64 * 1024;

export interface Pieces {
  /** As many bytes as there are, at most 64 KiB where the stream allows it. Undefined: it has ended. Rejects as the stream fails. */
  next(): Promise<Uint8Array | undefined>;
  /** Stops the source. */
  cancel(reason?: unknown): Promise<void>;
}

/** Locks `stream`. */
export function openPieces(stream: ReadableStream<Uint8Array>): Pieces {
  const byob = byobReader(stream);
  const reader = byob ?? stream.getReader();
  const read = byob === undefined ? () => (reader as DefaultReader).read() : () => readInto(byob);
  const turns = new StreamTurns();
  let turn: Promise<void> | undefined;
  return {
    async next() {
      if (turn !== undefined) await turn;
      const { done, value } = await read();
      if (done) return undefined;
      turn = turns.after(value.length);
      return value;
    },
    cancel: (reason) => reader.cancel(reason),
  };
}

type DefaultReader = ReadableStreamDefaultReader<Uint8Array>;

/** Undefined where the stream is none of bytes. */
function byobReader(stream: ReadableStream<Uint8Array>): ReadableStreamBYOBReader | undefined {
  try {
    return stream.getReader({ mode: 'byob' });
  } catch {
    return undefined;
  }
}

async function readInto(reader: ReadableStreamBYOBReader): Promise<ReadableStreamReadResult<Uint8Array>> {
  const { done, value } = await reader.read(new Uint8Array(PIECE_BYTES));
  if (done || value === undefined) return { done: true, value: undefined };
  // A few bytes must not keep the memory of many.
  return { done: false, value: value.length < PIECE_BYTES / 2 ? value.slice() : value };
}
