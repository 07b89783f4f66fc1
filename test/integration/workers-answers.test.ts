/** Stored answers in real workerd: from the bucket to the client, whoever asks, and nothing that one request waits for in another. */
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { assertSound, readClone } from '../support/clones.ts';
import { git, temporaryFolder } from '../support/git.ts';
import type { RawAnswer, RawRequest } from '../support/raw-client.ts';
import { commitUpstream, revision, richRepository } from '../support/repositories.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';
import { startWorkerd, type Workerd, type WorkerdOptions } from '../support/workerd.ts';
import { fetchRaw, outcomeOf } from './house.ts';

const name = 'up/team/rich';
let upstream: Upstream;
let worker: Workerd;
let tip: string;

afterEach(async () => {
  await worker.stop();
  await upstream.stop();
});

/** With a queue, unless others are named. */
async function open(options: Partial<WorkerdOptions> = {}): Promise<void> {
  upstream = await startUpstream();
  upstream.add(name, richRepository());
  tip = revision(upstream.folder(name), 'main');
  const bindings = ['BUCKET', 'KV', 'QUEUE'] as const;
  worker = await startWorkerd({ bindings, observed: {}, ...options, upstreams: { up: upstream.base('up') } });
}

/** What the fill needs stays allowed until it has ended; from then on upstream sends no packs. */
async function openFilled(options: Partial<WorkerdOptions> = {}): Promise<void> {
  await open(options);
  await ask(['deepen 3']);
  await worker.waitFor('prewarm.repo');
  upstream.forbidFetch();
}

function ask(lines: readonly string[], options: RawRequest & { readonly isolate?: number } = {}): Promise<RawAnswer> {
  const house = { hotpack: { repository: (one: string) => worker.repository(one, options.isolate) } };
  return fetchRaw(house as Parameters<typeof fetchRaw>[0], name, [...lines, `want ${tip}`], options);
}

/** Asks until the answer comes from the store: an answer is stored behind its end. */
async function untilStored(lines: readonly string[]): Promise<readonly RawAnswer[]> {
  const answers: RawAnswer[] = [];
  while (answers.at(-1)?.source !== 'pack-cache') {
    if (answers.length === 20) throw new Error(`never stored\n${worker.output.join('')}`);
    if (answers.length > 1) await new Promise((resolve) => setTimeout(resolve, 50));
    answers.push(await ask(lines));
  }
  return answers;
}

test('the second demand stores it, from then on the bucket answers: at its declared length, for a handful of calls', async () => {
  await openFilled();
  for (const lines of [['deepen 1'], ['deepen 1', 'include-tag']]) {
    const answers = await untilStored(lines);
    expect(answers.slice(0, 2).map(({ source }) => source)).toEqual(['mirror', 'mirror']);
    const stored = answers.at(-1) as RawAnswer;
    expect(stored.headers['content-length']).toBe(String(stored.body.length));
    expect(stored.body.equals((answers[0] as RawAnswer).body)).toBe(true);
    await worker.takeCalls();
    expect((await ask(lines)).source).toBe('pack-cache');
    // The answer, its manifest, and what shows whether it may be given.
    expect((await worker.takeCalls()).by).toEqual({ 'BUCKET.head': 2, 'BUCKET.get': 4 });
  }
});

test('twenty who ask the same at once, and whoever asks another isolate later: every clone is sound', async () => {
  await openFilled({ isolates: 2 });
  const cloneDepth1 = async (isolate: number): Promise<string> => {
    const folder = join(temporaryFolder('clone'), 'clone');
    await git(['clone', '-q', '--depth=1', worker.repository(name, isolate), folder]);
    await assertSound(folder);
    return folder;
  };
  const clones = await Promise.all(Array.from({ length: 20 }, (_, i) => cloneDepth1(i % 2)));
  const first = await readClone(clones[0] as string);
  expect(first.shallow).toEqual([tip]);
  for (const one of clones) expect(await readClone(one)).toEqual(first);
  await expect.poll(async () => (await worker.keys(`answers/${name}.git/`)).length).toBe(2);
  const served = worker.logged('request').filter(({ kind }) => kind === 'fetch').length;
  for (const isolate of [0, 1]) expect(await readClone(await cloneDepth1(isolate))).toEqual(first);
  const sources = worker.logged('request').flatMap(({ kind, source }) => (kind === 'fetch' ? [source] : []));
  expect(sources.slice(served)).toEqual(['pack-cache', 'pack-cache']);
});

test('who leaves leaves nothing half; without a mirror what upstream gave is stored at once', async () => {
  await open({ bindings: ['BUCKET', 'KV'] });
  const isFill = ({ lines }: { readonly lines: readonly string[] }): boolean =>
    !lines.some((line) => line.startsWith('deepen'));
  upstream.when({ kind: 'fetch', test: isFill }, { do: 'status', status: 500 });
  const slow = upstream.when({ kind: 'fetch' }, { do: 'trickle', bytes: 4_096, everyMs: 20 });
  expect((await ask(['deepen 1'], { leaveAfter: 600 })).complete).toBe(false);
  await worker.waitFor('prewarm.repo');
  slow.remove();
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  expect([await worker.keys('answers/'), await worker.keys('tmp/')]).toEqual([[], []]);
  const first = await ask(['deepen 1']);
  expect([first.source, outcomeOf(first).error]).toEqual(['upstream', undefined]);
  await expect.poll(() => worker.keys('answers/')).toHaveLength(1);
  upstream.forbidFetch();
  const stored = await ask(['deepen 1']);
  expect([stored.source, outcomeOf(stored)]).toEqual(['pack-cache', outcomeOf(first)]);
});

test('each new tip of a warmed repository has its answer before anybody asks, on every isolate, once a pass has seen it', async () => {
  const passes = { HOTPACK_PREWARM_MOST_CLONED_REPOS: '1', HOTPACK_PREWARM_INTERVAL: '1s' };
  await open({ isolates: 2, env: passes });
  await worker.importCounts({ [name]: 3 });
  const folder = upstream.folder(name);
  for (let pass = 1; pass <= 3; pass++) {
    if (pass > 1) tip = commitUpstream(folder);
    await expect
      .poll(
        async () => {
          await worker.cron();
          return worker.logged('prewarm.answers').length;
        },
        { timeout: 30_000, interval: 1_100 },
      )
      .toBe(pass);
    const refused = upstream.forbidFetch();
    // As actions/checkout asks, and as `git clone --depth=1` does.
    for (const [isolate, lines] of [['deepen 1'], ['deepen 1', 'include-tag']].entries()) {
      const answer = await ask(lines, { isolate });
      expect([answer.source, outcomeOf(answer).error]).toEqual(['pack-cache', undefined]);
    }
    const clone = join(temporaryFolder('clone'), 'clone');
    await git(['clone', '-q', '--depth=1', worker.repository(name, pass % 2), clone]);
    await assertSound(clone);
    expect((await readClone(clone)).shallow).toEqual([tip]);
    expect(refused.hits).toEqual([]);
    refused.remove();
  }
  // Clients were given nothing that was made for them.
  const sources = worker.logged('request').flatMap(({ kind, source }) => (kind === 'fetch' ? [source] : []));
  expect(sources).toEqual(Array.from({ length: 9 }, () => 'pack-cache'));
});

test('the cron keeps answers and mirrors within what they may take', async () => {
  await openFilled({ env: { HOTPACK_PACK_CACHE_BYTES: '600000', HOTPACK_MAX_BYTES: '1000' } });
  for (const depth of [1, 2, 4]) await untilStored([`deepen ${depth}`]);
  expect(await worker.keys('answers/')).toHaveLength(4);
  expect((await worker.keys('mirrors/')).filter((key) => key.endsWith('.pack'))).toHaveLength(1);
  await worker.cron();
  expect(await worker.keys('answers/')).toHaveLength(2);
  expect((await worker.keys('mirrors/')).filter((key) => key.endsWith('.pack'))).toHaveLength(0);
});
