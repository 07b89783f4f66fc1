/**
 * What arrived at the test upstream and what it answered: one entry a request, in the order of arrival. Tests count
 * with it; entries are filled in while the answer goes out.
 */
import { gunzipSync } from 'node:zlib';
import { FLUSH, lines } from '../pkt-lines.ts';

export type RequestKind =
  | 'advertisement' // GET info/refs?service=git-upload-pack
  | 'ls-refs'
  | 'fetch'
  | 'probe' // a body of one flush packet
  | 'push-advertisement'
  | 'push'
  | 'archive'
  | 'lfs'
  | 'file' // dumb HTTP
  | 'other';

export interface JournalEntry {
  readonly number: number;
  /** `<host>/<path>` without `.git`. */
  readonly repository: string;
  readonly method: string;
  readonly url: string;
  readonly kind: RequestKind;
  readonly protocol: 0 | 1 | 2;
  readonly authorization: string | undefined;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Of a POST to git-upload-pack: its lines, decoded. */
  readonly lines: readonly string[];
  readonly wants: readonly string[];
  readonly haves: readonly string[];
  readonly requestBytes: number;
  status: number;
  answerBytes: number;
  /** Objects that the pack header of the answer counts; undefined where the answer held no pack (so far). */
  objects: number | undefined;
  state: 'running' | 'done' | 'cut';
}

export interface RequestFacts {
  readonly repository: string;
  readonly method: string;
  readonly url: string;
  readonly service: string | undefined;
  readonly file: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

function decode(facts: RequestFacts): string[] {
  if (!facts.file.endsWith('git-upload-pack') || facts.method !== 'POST') return [];
  try {
    return lines(facts.headers['content-encoding'] === 'gzip' ? gunzipSync(facts.body) : facts.body);
  } catch {
    return [];
  }
}

function kindOf(facts: RequestFacts, text: readonly string[]): RequestKind {
  if (facts.file === 'info/refs') {
    if (facts.service === 'git-upload-pack') return 'advertisement';
    return facts.service === 'git-receive-pack' ? 'push-advertisement' : 'file';
  }
  if (facts.file === 'git-receive-pack') return 'push';
  if (facts.file === 'git-upload-archive') return 'archive';
  if (facts.file.startsWith('info/lfs') || facts.file.startsWith('lfs/')) return 'lfs';
  if (facts.file === 'git-upload-pack') {
    if (text.includes('command=ls-refs')) return 'ls-refs';
    if (text.includes('command=fetch') || text.some((line) => line.startsWith('want '))) return 'fetch';
    return text.length === 1 && text[0] === FLUSH ? 'probe' : 'other';
  }
  return facts.method === 'GET' ? 'file' : 'other';
}

function named(text: readonly string[], word: string): string[] {
  return text.filter((line) => line.startsWith(`${word} `)).map((line) => line.split(' ')[1] ?? '');
}

export class Journal {
  readonly entries: JournalEntry[] = [];
  private readonly waiters = new Set<() => void>();

  add(facts: RequestFacts): JournalEntry {
    const text = decode(facts);
    const version = /version=(\d)/.exec(String(facts.headers['git-protocol'] ?? ''))?.[1];
    const authorization = facts.headers['authorization'];
    const entry: JournalEntry = {
      number: this.entries.length,
      repository: facts.repository,
      method: facts.method,
      url: facts.url,
      kind: kindOf(facts, text),
      protocol: version === '2' ? 2 : version === '1' ? 1 : 0,
      authorization: typeof authorization === 'string' ? authorization : undefined,
      headers: facts.headers,
      lines: text,
      wants: named(text, 'want'),
      haves: named(text, 'have'),
      requestBytes: facts.body.length,
      status: 0,
      answerBytes: 0,
      objects: undefined,
      state: 'running',
    };
    this.entries.push(entry);
    this.changed();
    return entry;
  }

  /** Entries from `since` (a number that `mark` gave) on, of that repository and kind. */
  select(
    where: { readonly repository?: string; readonly kind?: RequestKind; readonly since?: number } = {},
  ): JournalEntry[] {
    return this.entries.filter(
      (entry) =>
        entry.number >= (where.since ?? 0) &&
        (where.repository === undefined || entry.repository === where.repository) &&
        (where.kind === undefined || entry.kind === where.kind),
    );
  }

  /** A point in time for `select`. */
  mark(): number {
    return this.entries.length;
  }

  /** Objects that upstream sent in all selected answers. */
  objectsSent(where: { readonly repository?: string; readonly since?: number }): number {
    return this.select({ ...where, kind: 'fetch' }).reduce((sum, entry) => sum + (entry.objects ?? 0), 0);
  }

  /** Resolves once `count` selected entries are there. */
  async until(
    where: { readonly repository?: string; readonly kind?: RequestKind; readonly since?: number },
    count: number,
  ): Promise<void> {
    while (this.select(where).length < count) await new Promise<void>((resolve) => this.waiters.add(resolve));
  }

  changed(): void {
    for (const resolve of this.waiters) resolve();
    this.waiters.clear();
  }
}
