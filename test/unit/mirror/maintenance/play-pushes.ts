/** Pushes by the thousand, taken over one by one or in batches by a mirror that merges behind them; judged at every moment, and by git at the end. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Manifest, parseManifest } from '../../../../src/mirror/catalog/manifest.ts';
import { openFsStorage } from '../../../../src/storage/drivers/fs.ts';
import { FastImport } from '../../../support/fast-import.ts';
import { gitSync, temporaryFolder } from '../../../support/git.ts';
import { emptyRepository } from '../../../support/packed-repository.ts';
import { noise, revision } from '../../../support/repositories.ts';
import { asker, check, createWorld, filled, isHere } from '../fake-upstream.ts';

export interface PlayedPushes {
  /** In any manifest that was written. */
  readonly mostPacks: number;
  readonly publications: number;
  readonly merges: number;
  readonly repacks: number;
  /** Bytes of packs as they were published. */
  readonly pushedBytes: number;
  /** Bytes that merging and writing anew wrote. */
  readonly rewritten: number;
}

export interface Pushing {
  readonly pushes: number;
  /** How many pushes upstream has had whenever it is asked. */
  readonly batch: number;
  /** Every tenth push is large, and the next one takes its place. */
  readonly replaces?: boolean;
}

const REPLACED_EVERY = 10;

/** A push each: a commit that changes one file of forty, and makes a new one now and then. */
function pushAll(folder: string, { pushes, replaces = false }: Pushing): string[] {
  const stream = new FastImport();
  const marks: string[] = [];
  let kept: string | undefined;
  for (let push = 0; push < pushes; push++) {
    const isReplaced = replaces && push % REPLACED_EVERY === REPLACED_EVERY - 1;
    const text = Array.from({ length: 40 }, (_, line) => `${line} ${line === push % 40 ? push : 0}`).join('\n');
    const changes = [
      { path: `src/${push % 40}.txt`, data: text },
      ...(push % 10 === 0 ? [{ path: `new/${push}`, data: `new in ${push}\n` }] : []),
      ...(isReplaced ? [{ path: 'replaced.bin', data: noise(`replaced ${push}`, 20_000) }] : []),
    ];
    const from = kept === undefined ? {} : { from: kept };
    const mark = stream.commit({ ref: 'refs/heads/pushed', message: `push ${push}\n`, changes, ...from });
    stream.reset(`refs/pushes/${push}`, mark);
    marks.push(mark);
    if (!isReplaced) kept = mark;
  }
  stream.run(folder);
  const shown = gitSync(['for-each-ref', '--format=%(refname:lstrip=2) %(objectname)', 'refs/pushes'], { cwd: folder });
  const pushed: string[] = [];
  for (const line of shown.trim().split('\n')) pushed[Number(line.split(' ')[0])] = line.slice(-40);
  // They stay in the object database, and no ref shows them until they are pushed.
  gitSync(['repack', '-adq'], { cwd: folder });
  gitSync(['update-ref', '--stdin'], {
    cwd: folder,
    input: marks.map((_, push) => `delete refs/pushes/${push}\n`).join(''),
  });
  gitSync(['update-ref', 'refs/heads/main', pushed[0] as string], { cwd: folder });
  gitSync(['update-ref', '-d', 'refs/heads/pushed'], { cwd: folder });
  return pushed;
}

/** Throws where the mirror, or git, does not hold what was pushed. */
export async function playPushes(pushing: Pushing): Promise<PlayedPushes> {
  const { pushes, batch } = pushing;
  const upstream = emptyRepository('pushes');
  const pushed = pushAll(upstream, pushing);
  const push = (number: number): string => {
    writeFileSync(join(upstream, 'refs/heads/main'), `${pushed[number]}\n`);
    return pushed[number] as string;
  };
  const root = temporaryFolder('store');
  const storage = await openFsStorage({ folder: root });
  const sizes = new Map<string, number>();
  let mostPacks = 0;
  const replace = storage.replaceDocument.bind(storage);
  storage.replaceDocument = (key, bytes, ...rest) => {
    if (key.endsWith('/hotpack/manifest')) {
      const { packs }: Manifest = parseManifest(bytes);
      mostPacks = Math.max(mostPacks, packs.length);
      for (const pack of packs) sizes.set(pack.name, pack.packBytes);
    }
    return replace(key, bytes, ...rest);
  };
  const world = createWorld(upstream, { storage });
  await filled(world);
  for (let number = batch; number < pushes; number += batch) {
    const tip = push(number);
    // Merges run on behind it.
    world.nowMs += 2_000;
    await world.mirror.refs('branches', { arrivedAtMs: world.nowMs, asker: asker() });
    const obtained = await world.mirror.obtain([tip], asker(), new AbortController().signal);
    assert.equal(obtained.kind, 'here');
  }
  const last = push(pushes - 1);
  await check(world);
  assert.ok(await isHere(world.mirror, last));

  const written = (event: string): number[] =>
    world.logged.filter(([name]) => name === event).map(([, fields]) => (fields as { bytes: number }).bytes);
  const [merged, repacked] = [written('packs_merged'), written('mirror_repacked')];
  const sum = (bytes: Iterable<number>): number => [...bytes].reduce((total, one) => total + one, 0);
  const rewritten = sum(merged) + sum(repacked);

  const mirror = join(root, 'mirrors', 'up', 'a', 'b.git');
  gitSync(['fsck', '--full', '--strict', '--no-dangling'], { cwd: mirror });
  assert.equal(revision(mirror, 'main'), last);
  const all = (folder: string): string => gitSync(['rev-list', '--objects', '--all', '--count'], { cwd: folder });
  assert.equal(all(mirror), all(upstream));
  const snapshot = await world.mirror.snapshot();
  const publications = snapshot?.manifest.packs.reduce((total, pack) => total + pack.pushes, 0) as number;
  snapshot?.release();
  await world.mirror.closeIfIdle();
  await storage.close();
  return {
    mostPacks,
    publications,
    merges: merged.length,
    repacks: repacked.length,
    pushedBytes: sum(sizes.values()) - rewritten,
    rewritten,
  };
}
