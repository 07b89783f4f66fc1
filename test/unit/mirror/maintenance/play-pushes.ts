/** A thousand pushes, taken over in batches by a mirror that merges behind them; judged at every moment, and by git at the end. */
import { join } from 'node:path';
import { expect } from 'vitest';
import { parseManifest } from '../../../../src/mirror/catalog/manifest.ts';
import { openFsStorage } from '../../../../src/storage/drivers/fs.ts';
import { FastImport } from '../../../support/fast-import.ts';
import { gitSync, temporaryFolder } from '../../../support/git.ts';
import { emptyRepository } from '../../../support/packed-repository.ts';
import { revision } from '../../../support/repositories.ts';
import { asker, check, createWorld, filled, isHere } from '../fake-upstream.ts';

const PUSHES = 1000;

/** A push each: a commit that changes one file of forty, and makes a new one now and then. */
function pushAll(folder: string): string[] {
  const stream = new FastImport();
  for (let push = 0; push < PUSHES; push++) {
    const text = Array.from({ length: 40 }, (_, line) => `${line} ${line === push % 40 ? push : 0}`).join('\n');
    const changes = [
      { path: `src/${push % 40}.txt`, data: text },
      ...(push % 10 === 0 ? [{ path: `new/${push}`, data: `new in ${push}\n` }] : []),
    ];
    stream.commit({ ref: 'refs/heads/pushed', message: `push ${push}\n`, changes });
  }
  stream.run(folder);
  const pushed = gitSync(['rev-list', '--reverse', 'pushed'], { cwd: folder }).trim().split('\n');
  gitSync(['update-ref', 'refs/heads/main', pushed[0] as string], { cwd: folder });
  gitSync(['update-ref', '-d', 'refs/heads/pushed'], { cwd: folder });
  return pushed;
}

export interface PlayedPushes {
  /** In any manifest that was written. */
  readonly mostPacks: number;
  readonly publications: number;
  readonly merges: number;
  readonly pushedBytes: number;
  /** Bytes that merges wrote. */
  readonly rewritten: number;
}

/** `batch`: how many pushes upstream has had whenever it is asked. */
export async function playPushes(batch: number): Promise<PlayedPushes> {
  const upstream = emptyRepository('pushes');
  const pushed = pushAll(upstream);
  const root = temporaryFolder('store');
  const storage = await openFsStorage({ folder: root });
  const counts: number[] = [];
  const replace = storage.replaceDocument.bind(storage);
  storage.replaceDocument = (key, bytes, ...rest) => {
    if (key.endsWith('/hotpack/manifest')) counts.push(parseManifest(bytes).packs.length);
    return replace(key, bytes, ...rest);
  };
  const world = createWorld(upstream, { storage });
  await filled(world);
  for (let push = batch; push < PUSHES; push += batch) {
    gitSync(['update-ref', 'refs/heads/main', pushed[push] as string], { cwd: upstream });
    // Merges run on behind it.
    world.nowMs += 2_000;
    await world.mirror.refs('branches', { arrivedAtMs: world.nowMs, asker: asker() });
    const obtained = await world.mirror.obtain([pushed[push] as string], asker(), new AbortController().signal);
    expect(obtained.kind).toBe('here');
  }
  gitSync(['update-ref', 'refs/heads/main', pushed.at(-1) as string], { cwd: upstream });
  await check(world);
  expect(await isHere(world.mirror, pushed.at(-1) as string)).toBe(true);

  const snapshot = await world.mirror.snapshot();
  const publications = snapshot?.manifest.packs.reduce((sum, pack) => sum + pack.pushes, 0) as number;
  const merged = world.logged
    .filter(([event]) => event === 'packs_merged')
    .map(([, fields]) => fields as { bytes: number });
  const rewritten = merged.reduce((sum, { bytes }) => sum + bytes, 0);
  // What was pushed: all that lies here now, less what merging saved by it.
  const pushedBytes = snapshot?.manifest.packs.reduce((sum, pack) => sum + pack.packBytes, 0) as number;
  snapshot?.release();

  const mirror = join(root, 'mirrors', 'up', 'a', 'b.git');
  gitSync(['fsck', '--full', '--strict'], { cwd: mirror });
  expect(revision(mirror, 'main')).toBe(pushed.at(-1));
  const all = (folder: string): string => gitSync(['rev-list', '--objects', '--all', '--count'], { cwd: folder });
  expect(all(mirror)).toBe(all(upstream));
  await world.mirror.closeIfIdle();
  await storage.close();
  return { mostPacks: Math.max(...counts), publications, merges: merged.length, pushedBytes, rewritten };
}
