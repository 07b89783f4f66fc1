import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { Answers } from '../../../src/answers/answers.ts';
import type { Mirrors } from '../../../src/mirror/mirrors.ts';
import type { MirrorSnapshot } from '../../../src/mirror/copy/snapshot.ts';
import type { ServeContext } from '../../../src/serve/contract.ts';
import { PktLineWriter } from '../../../src/protocol/pkt-line/writer.ts';
import { createServe } from '../../../src/serve/serve.ts';
import type { ServeServices } from '../../../src/serve/services.ts';
import { gitSync, temporaryFolder } from '../../support/git.ts';
import { body, cut, DELIMITER, FLUSH, lines } from '../../support/pkt-lines.ts';
import { commitUpstream, datedRepository, revision } from '../../support/repositories.ts';
import { CAPABILITIES, check, createWorld, DENIED, DOWN, filled, repository } from '../mirror/fake-upstream.ts';
import type { World } from '../mirror/fake-upstream.ts';

const STALE_MS = 60_000;

/** Every snapshot that is handed out is counted until it is released. */
async function createBench(options: { isFilled?: boolean } = {}) {
  const folder = join(temporaryFolder('upstream'), 'r.git');
  cpSync(datedRepository(), folder, { recursive: true });
  const world = createWorld(folder);
  if (options.isFilled ?? true) await filled(world);
  const held = new Set<MirrorSnapshot>();
  const take = world.mirror.snapshot.bind(world.mirror);
  world.mirror.snapshot = async (signal) => {
    const snapshot = await take(signal);
    if (snapshot === undefined) return undefined;
    const counted: MirrorSnapshot = {
      ...snapshot,
      release: () => {
        held.delete(counted);
        snapshot.release();
      },
    };
    held.add(counted);
    return counted;
  };
  const answers = new Answers({
    storage: world.storage,
    maxBytes: 1 << 30,
    memoryBytes: 1 << 20,
    lingerMs: 10_000,
    onEvicted: () => undefined,
    onFailed: () => undefined,
  });
  const serve = createServe({
    mirrors: { of: () => world.mirror } as unknown as Mirrors,
    answers,
    upstream: world.upstream,
    popularity: { countFetch: () => undefined } as unknown as ServeServices['popularity'],
    now: () => world.nowMs,
    logger: { debug() {}, info() {}, warn() {}, error() {} },
    staleIfErrorMs: STALE_MS,
    agent: 'hotpack/test',
  });
  const leaving = new AbortController();
  const context = (change: Partial<ServeContext['granted']> = {}): ServeContext => ({
    repository,
    credential: undefined,
    protocol: 2,
    granted: {
      kind: 'granted',
      facts: { proxyOnly: false, objectFormat: 'sha1', v2Capabilities: CAPABILITIES },
      visibility: 'private',
      confirmedAtMs: world.nowMs,
      stale: false,
      ...change,
    },
    signal: leaving.signal,
    arrivedAtMs: world.nowMs,
  });
  const fetch = (args: readonly string[], change: Partial<ServeContext['granted']> = {}): Promise<Response> =>
    serve.uploadPack(
      context(change),
      new Uint8Array(body(['command=fetch', 'object-format=sha1', DELIMITER, 'no-progress', ...args, 'done', FLUSH])),
    );
  return { world, folder, held, serve, answers, context, fetch, leaving, tip: revision(folder, 'refs/heads/main') };
}

async function read(response: Response): Promise<{ source: string; text: string; hasPack: boolean }> {
  const bytes = Buffer.from(await response.arrayBuffer());
  const packets = cut(bytes).packets;
  const hasPack = packets.some((one) => one.kind === 'data' && one.payload[0] === 1);
  return { source: String(response.headers.get('x-hotpack-source')), text: lines(bytes).join('\n'), hasPack };
}

let bench: Awaited<ReturnType<typeof createBench>>;
afterEach(async () => {
  await bench.world.idle();
  await bench.answers.close();
  if (bench.held.size > 0) throw new Error('a snapshot leaked');
});

test('from the mirror: upstream is not asked, and the snapshot is held until the last byte', async () => {
  bench = await createBench();
  const asked = bench.world.upstream.fetches.length;
  const response = await bench.fetch([`want ${bench.tip}`]);
  expect(bench.held.size).toBe(1);
  expect(await read(response)).toMatchObject({ source: 'mirror', hasPack: true });
  expect(bench.world.upstream.fetches).toHaveLength(asked);
});

test.each(['cancels', 'is gone', 'was gone before'])('who %s lets go of the snapshot', async (how) => {
  bench = await createBench();
  const response = await bench.fetch([`want ${bench.tip}`]);
  if (how === 'cancels') {
    const reader = response.body!.getReader();
    await reader.read();
    await reader.cancel();
  } else {
    if (how === 'is gone') await response.body!.getReader().read();
    bench.leaving.abort();
  }
  await bench.world.idle();
  expect(bench.held.size).toBe(0);
});

test('negotiation without a pack holds nothing', async () => {
  bench = await createBench();
  const request = body(['command=fetch', DELIMITER, `want ${bench.tip}`, `have ${'e'.repeat(40)}`, FLUSH]);
  const response = await bench.serve.uploadPack(bench.context(), new Uint8Array(request));
  expect((await read(response)).text).toContain('NAK');
  expect(bench.held.size).toBe(0);
});

test('a missing want is fetched, and the answer comes from the mirror', async () => {
  bench = await createBench();
  const next = commitUpstream(bench.folder);
  expect(await read(await bench.fetch([`want ${next}`]))).toMatchObject({ source: 'mirror', hasPack: true });
  expect(bench.world.upstream.fetches.at(-1)?.wants).toEqual([next]);
});

test('a want that upstream shows no more does not go along with a missing one', async () => {
  bench = await createBench();
  const { folder, world, tip } = bench;
  gitSync(['config', 'uploadpack.allowAnySHA1InWant', 'true'], { cwd: folder });
  const gone = tip;
  gitSync(['update-ref', 'refs/heads/main', `${tip}~1`], { cwd: folder });
  await check(world);
  const next = commitUpstream(folder);
  const before = world.upstream.fetches.length;
  await read(await bench.fetch([`want ${next}`, `want ${gone}`]));
  const confirming = world.upstream.fetches.slice(before).filter((call) => call.haves.includes(gone));
  expect(confirming.map((call) => call.wants)).toContainEqual([gone]);
});

test("what upstream refuses fails with upstream's words", async () => {
  bench = await createBench();
  const none = 'e'.repeat(40);
  expect((await read(await bench.fetch([`want ${none}`]))).text).toMatch(new RegExp(`^ERR .*${none}`));
});

test('a want-ref that does not exist, refs that cannot be had, a want while upstream is away: nothing is held', async () => {
  bench = await createBench();
  const { world, fetch, tip } = bench;
  world.nowMs += 5_000;
  await expect(fetch(['want-ref refs/heads/none'])).rejects.toMatchObject({ code: 'unknown_ref' });
  world.upstream.nextRefs.push(DENIED);
  await expect(fetch(['want-ref refs/heads/main'])).rejects.toMatchObject({ code: 'upstream_denied' });
  await expect(fetch([`want ${'e'.repeat(40)}`], { stale: true })).rejects.toMatchObject({
    code: 'upstream_unavailable',
  });
  expect(await read(await fetch([`want ${tip}`], { stale: true }))).toMatchObject({ source: 'mirror', hasPack: true });
});

test('in an outage refs are those held, for whom a yes is young; a no is a no', async () => {
  bench = await createBench();
  const { world, serve, context, tip } = bench;
  const lsRefs = async (change: Partial<ServeContext['granted']> = {}) => {
    world.nowMs += 5_000;
    return read(await serve.uploadPack(context(change), new Uint8Array(body(['command=ls-refs', DELIMITER, FLUSH]))));
  };
  commitUpstream(bench.folder);
  world.upstream.nextRefs.push(DOWN);
  const shown = await lsRefs();
  expect(shown).toMatchObject({ source: 'mirror', text: expect.stringContaining(`${tip} refs/heads/main`) });
  const asked = world.upstream.lsRefsCalls.length;
  expect((await lsRefs({ stale: true })).text).toBe(shown.text);
  expect(world.upstream.lsRefsCalls).toHaveLength(asked);
  world.upstream.nextRefs.push(DOWN);
  const old = lsRefs({ confirmedAtMs: world.nowMs + 5_000 - STALE_MS });
  await expect(old).rejects.toMatchObject({ code: 'upstream_unavailable' });
  world.upstream.nextRefs.push(DENIED);
  await expect(lsRefs()).rejects.toMatchObject({ code: 'upstream_denied' });
});

test('a cold clone of everything is one request to upstream, and fills the mirror', async () => {
  bench = await createBench({ isFilled: false });
  const { world, fetch } = bench;
  const refs = await check(world);
  const wants = [...new Set(refs.refs.map((ref) => `want ${ref.oid}`))];
  const answers = await Promise.all([fetch(wants), fetch(wants.toReversed()), fetch(wants)]);
  const got = await Promise.all(answers.map(read));
  expect(got.map((one) => one.source)).toEqual(['upstream', 'pack-cache', 'pack-cache']);
  expect(new Set(got.map((one) => one.text)).size).toBe(1);
  await idleOf(world);
  expect(world.upstream.fetches.map((call) => call.purpose)).toEqual(['pass_through']);
  expect(await read(await fetch(wants))).toMatchObject({ source: 'pack-cache', hasPack: true });
  expect(await read(await fetch([...wants, 'deepen 1']))).toMatchObject({ source: 'mirror', hasPack: true });
});

test('everyone who leaves a cold clone leaves the fill its stream', async () => {
  bench = await createBench({ isFilled: false });
  const { world, fetch, leaving } = bench;
  const refs = await check(world);
  const gate = Promise.withResolvers<void>();
  world.upstream.nextFetch.push({ hold: gate.promise, holdAfter: 8192 });
  const response = await fetch([...new Set(refs.refs.map((ref) => `want ${ref.oid}`))]);
  await response.body!.getReader().read();
  leaving.abort();
  gate.resolve();
  await idleOf(world);
  expect(world.upstream.fetches[0]?.wasCancelled).toBe(false);
  const snapshot = await world.mirror.snapshot();
  expect(snapshot?.store.find(bench.tip)).toBeGreaterThanOrEqual(0);
  snapshot?.release();
});

async function idleOf(world: World): Promise<void> {
  await vi.waitFor(async () => {
    await world.idle();
    const snapshot = await world.mirror.snapshot();
    snapshot?.release();
    expect(snapshot).toBeDefined();
  });
}

test('a whole history is not given away where upstream has cut its own; a shallow one is', async () => {
  bench = await createBench();
  bench.world.upstream.isShallow = true;
  const asked = bench.world.upstream.fetches.length;
  expect((await read(await bench.fetch([`want ${bench.tip}`]))).source).toBe('upstream');
  expect(bench.world.upstream.fetches).toHaveLength(asked + 1);
  expect((await read(await bench.fetch(['deepen 1', `want ${bench.tip}`]))).source).toBe('mirror');
  expect(bench.world.upstream.probes).toBe(1);
});

test('refs are written once for everyone who asks alike, until they change', async () => {
  bench = await createBench();
  const { serve, context, world, folder } = bench;
  const written = vi.spyOn(PktLineWriter.prototype, 'line');
  const ask = async (): Promise<string> => {
    const asked = new Uint8Array(body(['command=ls-refs', DELIMITER, 'symrefs', FLUSH]));
    const { text } = await read(await serve.uploadPack(context(), asked));
    return text;
  };
  const advertise = async (protocol: 0 | 2): Promise<string> => {
    const answer = await serve.advertise({ ...context(), protocol });
    return answer.text();
  };
  try {
    const told = [await ask(), await advertise(0), await advertise(2)];
    const lines = written.mock.calls.length;
    expect(lines).toBeGreaterThan(0);
    world.nowMs += 3_600_000;
    expect([await ask(), await advertise(0)]).toEqual(told.slice(0, 2));
    expect(written.mock.calls.length).toBe(lines);
    commitUpstream(folder);
    world.nowMs += 3_600_000;
    const after = await ask();
    expect(after).not.toBe(told[0]);
    expect(after).toContain(revision(folder, 'refs/heads/main'));
  } finally {
    written.mockRestore();
  }
});
