/** Bytes on the way between two threads: no more are sent than so many before some of them were taken. */
export class Window {
  closed = false;
  readonly #bytes: number;
  #sent = 0;
  #wake: (() => void) | undefined;

  constructor(bytes: number) {
    this.#bytes = bytes;
  }

  use(bytes: number): void {
    this.#sent += bytes;
  }

  give(bytes: number): void {
    this.#sent -= bytes;
    if (this.#sent < this.#bytes) this.#wake?.();
  }

  /** Resolves when a further message may be sent, or at the end. */
  async open(): Promise<void> {
    while (this.#sent >= this.#bytes && !this.closed) {
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  close(): void {
    this.closed = true;
    this.#wake?.();
  }
}
