/** The last runs of packets of an answer in the making, in memory: what those read who keep up. Offsets count from the first packet. */
interface Run {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

export class RecentRuns {
  #runs: Run[] = [];
  #bytes = 0;
  #end = 0;

  /** In memory. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Where the next run will begin. */
  get end(): number {
    return this.#end;
  }

  /** Where the first one begins that is in memory; the end where none is. */
  get start(): number {
    return this.#runs[0]?.offset ?? this.#end;
  }

  append(run: Uint8Array): void {
    this.#runs.push({ offset: this.#end, bytes: run });
    this.#bytes += run.length;
    this.#end += run.length;
  }

  /** The run that begins at `offset`, if it is in memory. */
  at(offset: number): Uint8Array | undefined {
    return this.#runs.find((run) => run.offset === offset)?.bytes;
  }

  /** From `offset`, which is in memory, to the end of its run. */
  from(offset: number): Uint8Array {
    // From the end: who keeps up reads there. Runs begin where followers stand, or hold packets that begin there.
    const found = this.#runs.findLast((run) => run.offset <= offset) as Run;
    return offset === found.offset ? found.bytes : found.bytes.subarray(offset - found.offset);
  }

  /** Lets go of the first one. False where there is none that ends at `offset` or before. */
  dropFirst(offset: number): boolean {
    const [first] = this.#runs;
    if (first === undefined || first.offset + first.bytes.length > offset) return false;
    this.#runs.shift();
    this.#bytes -= first.bytes.length;
    return true;
  }

  clear(): void {
    this.#runs = [];
    this.#bytes = 0;
  }
}
