/** A repository that grows by thin packs, taken in as updates are, in a store that git can look into. */
import { join } from 'node:path';
import { bytesToHex } from '../../../../src/bytes/oid.ts';
import { mirrorKeys } from '../../../../src/mirror/keys.ts';
import { runPackTask, type MergeParams, type WrittenPack } from '../../../../src/mirror/tasks.ts';
import type { Storage } from '../../../../src/storage/contract.ts';
import { openFsStorage } from '../../../../src/storage/drivers/fs.ts';
import { temporaryFolder } from '../../../support/git.ts';
import { addHistory, emptyRepository, gitBytes } from '../../../support/packed-repository.ts';
import { revision } from '../../../support/repositories.ts';

export const KEY = 'up/a/b.git';
export const PACK_FOLDER: string = mirrorKeys(KEY).packFolder;
export const never: AbortSignal = new AbortController().signal;

export async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield bytes;
}

export function randomPackName(): string {
  return `pack-${bytesToHex(crypto.getRandomValues(new Uint8Array(20)))}`;
}

/** Takes in a pack of `revisions` (as `git rev-list` takes them, one a line). */
export async function takeInPack(
  storage: Storage,
  repository: string,
  pack: { readonly revisions: string; readonly existing: readonly string[]; readonly ofsDelta?: boolean },
): Promise<WrittenPack> {
  const { existing, ofsDelta = true } = pack;
  const options = ['--revs', '--thin', '--stdout', '-q', '--window=20', ...(ofsDelta ? ['--delta-base-offset'] : [])];
  const bytes = new Uint8Array(gitBytes(['pack-objects', ...options], repository, pack.revisions));
  const task = { kind: 'ingest', packFolder: PACK_FOLDER, packName: randomPackName(), tips: [] } as const;
  const result = await runPackTask(storage, { ...task, existing, memoryBytes: 8 << 20 }, once(bytes), never);
  if (result.kind === 'empty') throw new Error('an empty pack');
  return result;
}

export interface Grown {
  readonly storage: Storage;
  /** The mirror's folder. */
  readonly mirror: string;
  readonly upstream: string;
  /** One for each push, the first with a larger history. */
  readonly packs: readonly WrittenPack[];
}

/** Thin packs, every other one with bases by name. */
export async function growMirror(pushes: number): Promise<Grown> {
  const upstream = emptyRepository('grown');
  const root = temporaryFolder('store');
  const storage = await openFsStorage({ folder: root });
  const packs: WrittenPack[] = [];
  let before = '';
  for (let push = 0; push < pushes; push++) {
    addHistory(upstream, push === 0 ? { commits: 20 } : { commits: 3, start: 17 + 3 * push });
    const tip = revision(upstream, 'main');
    const existing = packs.map((pack) => pack.packName);
    packs.push(
      await takeInPack(storage, upstream, { revisions: `${tip}\n${before}`, existing, ofsDelta: push % 2 === 0 }),
    );
    before = `^${tip}\n`;
  }
  return { storage, mirror: join(root, 'mirrors', KEY), upstream, packs };
}

export function mergeParams(packs: readonly WrittenPack[], keepsTail: boolean): MergeParams {
  const sources = packs.map(({ packName: name, tailOffset }) => ({ name, tailOffset }));
  return { kind: 'merge', packFolder: PACK_FOLDER, packName: randomPackName(), sources, keepsTail };
}
