/**
 * Commits by time, newest first; of equal times the one that came first. A binary heap over parallel arrays.
 */
export class CommitQueue {
  readonly #commits: number[] = [];
  readonly #times: number[] = [];
  readonly #arrivals: number[] = [];
  #arrived = 0;

  get size(): number {
    return this.#commits.length;
  }

  /** The newest commit's time. The queue must not be empty. */
  get newestSeconds(): number {
    return this.#times[0] as number;
  }

  push(commit: number, seconds: number): void {
    let at = this.#commits.length;
    const arrival = this.#arrived++;
    while (at > 0) {
      const above = (at - 1) >>> 1;
      if ((this.#times[above] as number) >= seconds) break;
      this.#move(above, at);
      at = above;
    }
    this.#put(at, commit, seconds, arrival);
  }

  /** Takes the newest commit out. The queue must not be empty. */
  pop(): number {
    const newest = this.#commits[0] as number;
    const commit = this.#commits.pop() as number;
    const seconds = this.#times.pop() as number;
    const arrival = this.#arrivals.pop() as number;
    const size = this.#commits.length;
    if (size === 0) return newest;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      if (below >= size) break;
      if (below + 1 < size && this.#precedes(below + 1, below)) below++;
      const time = this.#times[below] as number;
      if (time < seconds || (time === seconds && (this.#arrivals[below] as number) > arrival)) break;
      this.#move(below, at);
      at = below;
    }
    this.#put(at, commit, seconds, arrival);
    return newest;
  }

  #precedes(left: number, right: number): boolean {
    const difference = (this.#times[left] as number) - (this.#times[right] as number);
    if (difference !== 0) return difference > 0;
    return (this.#arrivals[left] as number) < (this.#arrivals[right] as number);
  }

  #move(from: number, to: number): void {
    this.#commits[to] = this.#commits[from] as number;
    this.#times[to] = this.#times[from] as number;
    this.#arrivals[to] = this.#arrivals[from] as number;
  }

  #put(at: number, commit: number, seconds: number, arrival: number): void {
    this.#commits[at] = commit;
    this.#times[at] = seconds;
    this.#arrivals[at] = arrival;
  }
}
