/**
 * Random fetches of clients that could exist, asked of the walk and of git's own upload-pack.
 */
import type { ObjectStore } from '../../src/pack/object-store.ts';
import type { Deepen, ObjectFilter, ObjectSet, SelectionQuery } from '../../src/pack/selection.ts';
import type { MemoryObjects } from './memory-object-store.ts';
import type { RandomHistory } from './random-history.ts';

/** A naive picture of a repository: what each object refers to, read with regular expressions. */
export class ObjectPicture {
  readonly #byName: ReadonlyMap<string, { readonly type: number; readonly content: Uint8Array }>;

  constructor(all: MemoryObjects) {
    this.#byName = new Map(all.oids.map((oid, index) => [oid, all.objects[index] as never]));
  }

  type(oid: string): number {
    return this.#byName.get(oid)?.type ?? 0;
  }

  parents(commit: string): string[] {
    const head = this.#text(commit).split('\n\n')[0] as string;
    return [...head.matchAll(/^parent (.*)$/gm)].map((match) => match[1] as string);
  }

  /** All that `roots` refer to, where commits in `cut` have no parents. */
  closure(roots: Iterable<string>, cut: ReadonlySet<string>): Set<string> {
    const reached = new Set<string>();
    const pending = [...roots];
    for (let oid = pending.pop(); oid !== undefined; oid = pending.pop()) {
      if (reached.has(oid) || !this.#byName.has(oid)) continue;
      reached.add(oid);
      pending.push(...this.#references(oid, cut));
    }
    return reached;
  }

  #references(oid: string, cut: ReadonlySet<string>): string[] {
    const type = this.type(oid);
    const text = this.#text(oid);
    if (type === 4) return [text.slice(7, 47)];
    if (type === 1) return [text.slice(5, 45), ...(cut.has(oid) ? [] : this.parents(oid))];
    if (type !== 2) return [];
    const found: string[] = [];
    for (let at = 0; at < text.length;) {
      const end = text.indexOf('\0', at);
      const hex = Buffer.from(text.slice(end + 1, end + 21), 'latin1').toString('hex');
      if (!text.startsWith('160000', at)) found.push(hex);
      at = end + 21;
    }
    return found;
  }

  #text(oid: string): string {
    return Buffer.from(this.#byName.get(oid)?.content ?? []).toString('latin1');
  }
}

export interface FetchCase {
  readonly query: SelectionQuery;
  /** The same as lines of the fetch command. */
  readonly lines: readonly string[];
  /** What the client has before. */
  readonly client: ReadonlySet<string>;
}

export interface CaseOptions {
  readonly history: RandomHistory;
  readonly picture: ObjectPicture;
  readonly random: () => number;
  readonly filters: readonly { readonly spec: string; readonly filter: ObjectFilter }[];
}

export function randomCase({ history, picture, random, filters }: CaseOptions): FetchCase {
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T;
  const some = <T>(items: readonly T[], most: number): T[] =>
    Array.from({ length: Math.floor(random() * (most + 1)) }, () => pick(items));
  const chance = (share: number): boolean => random() < share;
  const { commits, tags } = history;
  const early = commits.slice(0, Math.ceil(commits.length * 0.7));
  const tips = chance(0.7) ? [pick(early), ...some(early, 2)] : [];
  const shallows = tips.length > 0 && chance(0.5) ? boundaryAt(picture, tips, 1 + Math.floor(random() * 4)) : [];
  const client = picture.closure(tips, new Set(shallows));
  const ofClient = [...client].filter((oid) => picture.type(oid) === 1);
  const haves = [...new Set([...tips, ...(tips.length > 0 ? some(ofClient, 3) : [])])];
  // A client may have a tag too, and may name it.
  for (const { tag, peeled } of tags) if (client.has(peeled) && chance(0.2)) haves.push(tag);
  if (chance(0.2)) haves.push('f'.repeat(40));
  const wants = [pick(commits), ...some(commits.slice(-8), 2)];
  if (chance(0.4)) wants.push(pick(tags).tag);
  if (chance(0.1)) wants.push(...some([...picture.closure([pick(commits)], new Set(commits))], 2));
  const deepen = randomDeepen();
  const filter = pick(filters);
  const thin = chance(0.7);
  const includeTag = chance(0.4);
  const query: SelectionQuery = {
    wants: [...new Set(wants)],
    haves,
    shallows,
    deepen: deepen.deepen,
    filter: filter.filter,
    includeTags: includeTag ? tags : [],
    thin,
  };
  const lines = [
    ...(thin ? ['thin-pack'] : []),
    ...(includeTag ? ['include-tag'] : []),
    ...query.wants.map((oid) => `want ${oid}`),
    ...shallows.map((oid) => `shallow ${oid}`),
    ...deepen.lines,
    ...(filter.spec === '' ? [] : [`filter ${filter.spec}`]),
    ...haves.map((oid) => `have ${oid}`),
  ];
  const known = new Set([...client, ...haves.flatMap((oid) => [...picture.closure([oid], new Set(shallows))])]);
  return { query, lines, client: known };

  function randomDeepen(): { readonly deepen: Deepen; readonly lines: readonly string[] } {
    const what = random();
    if (what < 0.4) return { deepen: { kind: 'none' }, lines: [] };
    if (what < 0.75) {
      const depth = chance(0.1) ? 2_147_483_647 : 1 + Math.floor(random() * 6);
      const relative = shallows.length > 0 && chance(0.4);
      const lines = [`deepen ${depth}`, ...(relative ? ['deepen-relative'] : [])];
      return { deepen: { kind: 'depth', depth, relative }, lines };
    }
    const since = chance(0.6) ? 1_600_000_000 + Math.floor(random() * 60 * commits.length) : undefined;
    const not = since === undefined || chance(0.4) ? [Math.floor(random() * commits.length)] : [];
    return {
      deepen: { kind: 'revs', sinceSeconds: since, not: not.map((n) => commits[n] as string) },
      lines: [
        ...(since === undefined ? [] : [`deepen-since ${since}`]),
        ...not.map((n) => `deepen-not refs/keep/${n}`),
      ],
    };
  }
}

/** The commits `depth` away from the nearest of `tips`, as a clone of that depth leaves them in its shallow file. */
function boundaryAt(picture: ObjectPicture, tips: readonly string[], depth: number): string[] {
  const seen = new Set(tips);
  let level = [...seen];
  for (let distance = 1; distance < depth; distance++) {
    const next = level.flatMap((commit) => picture.parents(commit)).filter((commit) => !seen.has(commit));
    for (const commit of next) seen.add(commit);
    level = [...new Set(next)];
  }
  return level.filter((commit) => picture.parents(commit).length > 0);
}

/** What the client still lacks of the wants, given what was sent: empty where the answer was complete. */
export function lackingAfter(
  picture: ObjectPicture,
  one: FetchCase,
  answer: {
    readonly shallow: readonly string[];
    readonly unshallow: readonly string[];
    readonly objects: ReadonlySet<string>;
  },
): string[] {
  const cut = new Set([...one.query.shallows, ...answer.shallow].filter((oid) => !answer.unshallow.includes(oid)));
  const needed = picture.closure([...one.query.wants, ...answer.unshallow], cut);
  return [...needed].filter((oid) => !answer.objects.has(oid) && !one.client.has(oid));
}

export function namesOf(store: ObjectStore, objects: Uint32Array): Set<string> {
  return new Set(Array.from(objects, (object) => store.oidOf(object)));
}

/** The members, ascending. */
export function membersOf(store: ObjectStore, set: ObjectSet): Uint32Array {
  return Uint32Array.from({ length: store.objectCount }, (_, object) => object).filter((object) => set.has(object));
}
