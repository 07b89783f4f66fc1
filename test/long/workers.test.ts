/**
 * A pack of 500 MB is taken in on Workers within what an isolate has there: 128 MB of memory, of which this leaves 28 to the requests
 * beside it, and 1,000 requests to bindings an event. miniflare enforces neither, so both are counted here: memory through
 * the inspector, calls between the Worker and its bindings.
 */
import { spawn } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { cpSync } from 'node:fs';
import { once } from 'node:events';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { seededRepository } from '../../bench/support/seeded-repository.ts';
import { gitEnvironment, gitSync, temporaryFolder } from '../support/git.ts';
import { fetchRaw, outcomeOf } from '../integration/house.ts';
import { startUpstream } from '../support/upstream.ts';
import { startWorkerd } from '../support/workerd.ts';
import { watchHeap } from '../support/workerd/heap-watch.ts';

const MB = 1_000_000;
const PACK_BYTES = 500 * MB;
/** Garbage is collected behind every sample, so that answers take their time. */
const PATIENT = { timeoutMs: 400_000 };

/** A history with deltas of 120,000 objects, and files of noise until there are 500 MB. */
async function largeRepository(): Promise<string> {
  const folder = join(temporaryFolder('large'), 'large.git');
  cpSync(await seededRepository('middle'), folder, { recursive: true });
  const sizeOf = (): number =>
    Number(/size-pack: (\d+)/.exec(gitSync(['count-objects', '-v'], { cwd: folder }))?.[1]) * 1_024;
  const importer = spawn('git', ['-C', folder, 'fast-import', '--quiet', '--depth=0'], {
    env: gitEnvironment(),
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  const ended = once(importer, 'close');
  const write = async (piece: string | Uint8Array): Promise<void> => {
    if (!importer.stdin.write(piece)) await once(importer.stdin, 'drain');
  };
  await write('commit refs/heads/noise\ncommitter A <a@example.com> 1600000000 +0000\ndata 6\nnoise\n');
  const files = Math.max(1, Math.ceil((PACK_BYTES - sizeOf()) / MB));
  for (let file = 0; file < files; file++) {
    await write(`M 100644 inline noise-${file}\ndata ${MB}\n`);
    await write(randomFillSync(new Uint8Array(MB)));
    await write('\n');
  }
  importer.stdin.end();
  expect(await ended).toEqual([0, null]);
  expect(sizeOf()).toBeGreaterThanOrEqual(PACK_BYTES);
  return folder;
}

test('a pack of 500 MB is filled within 100 MB of memory and 1,000 calls an event', async () => {
  const upstream = await startUpstream();
  upstream.add('up/large', await largeRepository());
  const tip = gitSync(['rev-parse', 'refs/heads/main'], { cwd: upstream.folder('up/large') }).trim();
  const worker = await startWorkerd({
    upstreams: { up: upstream.base('up') },
    bindings: ['BUCKET', 'KV', 'QUEUE'],
    observed: {},
    inspected: true,
  });
  const watch = await watchHeap(await worker.inspectorUrl(), 250);
  try {
    const ask = async (): Promise<unknown> =>
      outcomeOf(await fetchRaw({ hotpack: worker }, 'up/large', ['deepen 1', `want ${tip}`], PATIENT));
    const cold = await ask();
    await worker.waitFor('prewarm.repo', 1, 500_000);
    expect(worker.logged('prewarm.repo')[0]).toMatchObject({ status: 'ok' });
    const refused = upstream.forbidFetch();
    expect(await ask()).toEqual(cold);
    expect(refused.hits).toEqual([]);
    // Printed when an event has ended, behind what it logs.
    await worker.waitFor('test_calls', 2, 60_000);
    const calls = worker.logged('test_calls').map((line) => Number(line['calls']));
    console.log(
      `peak ${Math.round(watch.peakBytes() / MB)} MB in ${watch.samples()} samples; calls by event: ${calls.join(' ')}`,
    );
    expect(watch.samples()).toBeGreaterThan(20);
    expect(watch.peakBytes()).toBeLessThanOrEqual(100 * MB);
    expect(calls.length).toBeGreaterThanOrEqual(2);
    for (const one of calls) expect(one).toBeLessThanOrEqual(1_000);
  } finally {
    await watch.stop();
    await worker.stop();
    await upstream.stop();
  }
});
