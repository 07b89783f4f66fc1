/** Few threads of one kind, each for several calls. One is started when it is first needed, and another one in place of one that died. */
import { ThreadLink, type ThreadOptions } from './thread-link.ts';

export class ThreadPool {
  readonly #options: ThreadOptions;
  readonly #most: number;
  readonly #links: ThreadLink[] = [];

  constructor(options: ThreadOptions, most: number) {
    this.#options = options;
    this.#most = most;
  }

  /** How many there are at most. */
  get size(): number {
    return this.#most;
  }

  leastBusy(): ThreadLink {
    const idle = this.#links.find((link) => link.load === 0);
    if (idle !== undefined) return idle;
    if (this.#links.length < this.#most) {
      const link = new ThreadLink(this.#options, () => void this.#links.splice(this.#links.indexOf(link), 1));
      this.#links.push(link);
      return link;
    }
    return this.#links.reduce((least, link) => (link.load < least.load ? link : least));
  }

  /** Ends the threads; calls under way reject. */
  async close(): Promise<void> {
    await Promise.all(this.#links.map((link) => link.close()));
  }
}
