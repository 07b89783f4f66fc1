/**
 * Memory that is given back at once. Arrays of a megabyte that wait for the garbage collector are what makes it run: a stream of
 * them costs more in collections than in reads. So whoever makes an array that only one taker will ever look at marks it,
 * and the last one to need its bytes gives it back. What is not marked is left alone, whoever has it.
 */
const marked = new WeakSet<ArrayBufferLike>();

/**
 * The first array that ever loses its memory makes V8 throw away all code that it has compiled for typed arrays, since that counted on none
 * doing so. Here it costs nothing: nothing is compiled yet.
 */
new ArrayBuffer(1).transfer(0);

/** The same array. Nobody but its taker may look at it any more. A view of a part of some memory is not marked. */
export function forOneTaker(bytes: Uint8Array): Uint8Array {
  if (isWhole(bytes)) marked.add(bytes.buffer);
  return bytes;
}

/** Frees what was marked: its length is 0 from then on. */
export function giveBack(bytes: Uint8Array): void {
  if (isWhole(bytes) && marked.delete(bytes.buffer)) (bytes.buffer as ArrayBuffer).transfer(0);
}

/** The same bytes in memory that is the caller's alone: what was marked as it is, else a copy. */
export function takeOver(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  if (isWhole(bytes) && marked.delete(bytes.buffer)) return bytes as Uint8Array<ArrayBuffer>;
  return new Uint8Array(bytes);
}

function isWhole(bytes: Uint8Array): boolean {
  return bytes.byteLength > 0 && bytes.byteLength === bytes.buffer.byteLength;
}
