/**
 * What is remembered of answers between requests that must not wait for each other: values alone. Which questions were asked
 * before, which variant was the answer with which tags, when a use was last noted, and who is storing what since when. One
 * that is cut off in the midst of storing never says that it has ended: after a while it counts no more.
 *
 * Memory: some 24,000 keys.
 */
import { BoundedMap } from '../../upstream/bounded-map.ts';

const MAX_KEYS = 8_192;
/** On their way into the store at once: each takes some segments of the store's writer. */
const MAX_STORING = 2;
const STORING_MS = 5 * 60_000;
const NOTE_USE_MS = 60 * 60_000;

export class AnswerMemory {
  readonly #now: () => number;
  readonly #asked = new BoundedMap<string, true>(MAX_KEYS);
  readonly #variants = new BoundedMap<string, string>(MAX_KEYS);
  readonly #usedAtMs = new BoundedMap<string, number>(MAX_KEYS);
  readonly #storingSinceMs = new Map<string, number>();

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Whether it was asked for before; from now on it was. */
  noteAsked(place: string): boolean {
    const wasAsked = this.#asked.get(place) === true;
    this.#asked.set(place, true);
    return wasAsked;
  }

  /** Where the answer lies with these tags, as far as that was found out. */
  placeWithTags(place: string, tags: string): string | undefined {
    return this.#variants.get(`${place} ${tags}`);
  }

  notePlaceWithTags(place: string, tags: string, found: string): void {
    this.#variants.set(`${place} ${tags}`, found);
  }

  /** Whether its use is to be written: once an hour. */
  noteUse(key: string): boolean {
    const nowMs = this.#now();
    if (nowMs - (this.#usedAtMs.get(key) ?? Number.NEGATIVE_INFINITY) < NOTE_USE_MS) return false;
    this.#usedAtMs.set(key, nowMs);
    return true;
  }

  /** Whether somebody may begin to store it: nobody else does, and there is room. */
  mayStore(place: string): boolean {
    const nowMs = this.#now();
    for (const [one, sinceMs] of this.#storingSinceMs) {
      if (nowMs - sinceMs >= STORING_MS) this.#storingSinceMs.delete(one);
    }
    return this.#storingSinceMs.size < MAX_STORING && !this.#storingSinceMs.has(place);
  }

  storingBegins(place: string): void {
    this.#storingSinceMs.set(place, this.#now());
  }

  storingEnds(place: string): void {
    this.#storingSinceMs.delete(place);
  }
}
