/** Turns of the event loop for everything else: what waits for the network or for a timer goes on before who asked for one. */

/** Of a stream whose next bytes may always be there already. */
const QUANTUM_BYTES = 1024 * 1024;

/** setImmediate where there is one (setTimeout waits a millisecond at least). */
export const nextTurn: () => Promise<void> = macrotask();

/** A turn after every MiB of a stream. */
export class StreamTurns {
  #bytes = 0;

  /** To be awaited before the stream goes on. Undefined: it may at once. */
  after(bytes: number): Promise<void> | undefined {
    this.#bytes += bytes;
    if (this.#bytes < QUANTUM_BYTES) return undefined;
    this.#bytes = 0;
    return nextTurn();
  }
}

function macrotask(): () => Promise<void> {
  const immediate = (globalThis as { setImmediate?: (run: () => void) => unknown }).setImmediate;
  if (typeof immediate === 'function') {
    return () => new Promise((resolve) => void immediate(resolve));
  }
  return () => new Promise((resolve) => void setTimeout(resolve, 0));
}
