/**
 * A body of `bytes` bytes in all: `start`, then `rest`. For runtimes that tell a client how long an answer is only where its
 * stream says so, and that pipe streams of their own without looking at the bytes (Workers); elsewhere the header suffices.
 */
export type SizeBody = (parts: {
  readonly start: Uint8Array;
  readonly rest: ReadableStream<Uint8Array>;
  readonly bytes: number;
}) => ReadableStream<Uint8Array>;
