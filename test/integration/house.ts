/** One upstream and one hotpack in front of it, as most tests want them, and what they do to both. */
import { git, gitSync } from '../support/git.ts';
import { startHotpack, type Hotpack } from '../support/hotpack.ts';
import { body, DELIMITER, FLUSH } from '../support/pkt-lines.ts';
import { getRefs, postUploadPack, readFetchAnswer, type RawAnswer, type RawRequest } from '../support/raw-client.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';
import type { Workerd } from '../support/workerd.ts';

export interface House {
  readonly upstream: Upstream;
  readonly hotpack: Hotpack;
  readonly close: () => Promise<void>;
}

/** Hotpack on whichever runtime, for who only asks it. */
export interface Served {
  readonly hotpack: Pick<Hotpack, 'repository'>;
}

/** `repositories`: name below the upstream `up` → bare folder to copy. */
export async function openHouse(
  repositories: Readonly<Record<string, string>>,
  env: Readonly<Record<string, string>> = {},
): Promise<House> {
  const upstream = await startUpstream();
  for (const [name, folder] of Object.entries(repositories)) upstream.add(`up/${name}`, folder);
  const hotpack = await startHotpack({ upstreams: { up: upstream.base('up') }, env });
  return {
    upstream,
    hotpack,
    close: async () => {
      upstream.clearRules();
      try {
        await hotpack.stop();
      } finally {
        await upstream.stop();
      }
    },
  };
}

/** Every tip of a bare repository (below `prefixes`), each once. */
export function tipsOf(folder: string, prefixes: readonly string[] = []): string[] {
  const out = gitSync(['for-each-ref', '--format=%(objectname)', ...prefixes], { cwd: folder });
  return [...new Set(out.split('\n').filter((oid) => oid !== ''))];
}

/** Asks for everything through hotpack, as `clone --mirror` does, and waits until the mirror holds every tip that upstream has. */
export async function fillMirror(
  house: Pick<House, 'upstream' | 'hotpack'>,
  repository: string,
  authorization?: string,
): Promise<void> {
  const wanted = tipsOf(house.upstream.folder(repository));
  const url = house.hotpack.repository(repository);
  const options = authorization === undefined ? {} : { headers: { authorization } };
  const head = ['agent=raw/1', 'object-format=sha1', DELIMITER];
  const refs = ['command=ls-refs', ...head, 'peel', 'symrefs', 'unborn', 'ref-prefix refs/', 'ref-prefix HEAD', FLUSH];
  const fetch = [
    'command=fetch',
    ...head,
    'thin-pack',
    'no-progress',
    'ofs-delta',
    ...wanted.map((oid) => `want ${oid}`),
    'done',
    FLUSH,
  ];
  await getRefs(url, 2, options);
  await postUploadPack(url, 2, body(refs), options);
  if (wanted.length === 0) return;
  const answer = await postUploadPack(url, 2, body(fetch), options);
  if (answer.status !== 200 || !answer.complete)
    throw new Error(`the fill of ${repository} was answered with ${answer.status}`);
  await house.hotpack.mirrorHolds(repository, wanted);
}

/** A fetch over v2 by hash, byte by byte. */
export function fetchRaw(
  house: Served,
  repository: string,
  lines: readonly string[],
  options: RawRequest = {},
): Promise<RawAnswer> {
  const head = ['command=fetch', 'agent=raw/1', 'object-format=sha1', DELIMITER, 'ofs-delta', 'no-progress'];
  return postUploadPack(house.hotpack.repository(repository), 2, body([...head, ...lines, 'done', FLUSH]), options);
}

/** What the fetch was answered with: a pack of so many objects, or upstream's words. */
export function outcomeOf(answer: RawAnswer): {
  readonly status: number;
  readonly objects: number;
  readonly error: string | undefined;
} {
  const fetched = readFetchAnswer(answer.body, 'side-band');
  return {
    status: answer.status,
    objects: fetched.pack.length >= 12 ? fetched.pack.readUInt32BE(8) : 0,
    error: fetched.error,
  };
}

/** `<oid> <name>` lines of ls-remote through hotpack. */
export async function refsThrough(
  house: Served,
  repository: string,
  protocol: 0 | 1 | 2 = 2,
  config: readonly string[] = [],
): Promise<Map<string, string>> {
  const out = await git(['ls-remote', house.hotpack.repository(repository)], { protocol, config });
  return new Map(
    out
      .split('\n')
      .filter((line) => line !== '')
      .map((line): [string, string] => [line.split('\t')[1] ?? '', line.split('\t')[0] ?? '']),
  );
}

/**
 * Asks a Worker for refs until its mirror was brought up to what upstream shows. (Work that was handed over within a second is not
 * handed over again.)
 */
export async function bringUpToDate(worker: Workerd, repository: string): Promise<void> {
  const ended = worker.logged('prewarm.repo').length;
  const deadline = Date.now() + 60_000;
  while (worker.logged('prewarm.repo').length <= ended) {
    if (Date.now() > deadline) throw new Error(`nothing has updated ${repository}\n${worker.output.join('')}`);
    await refsThrough({ hotpack: worker }, repository);
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
}
