import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Storage } from '../../../src/storage/contract.ts';
import { gitSync, temporaryFolder } from '../../support/git.ts';

/** A folder with the mirror below `root` as git sees it, once git has found nothing wrong with it. */
export async function seenByGit(storage: Storage, root: string): Promise<string> {
  const seen = temporaryFolder('seen');
  for (const { key, kind } of (await storage.list(`${root}/`)).objects) {
    if (kind === 'document') continue;
    // oxlint-disable-next-line no-await-in-loop
    const found = await storage.readAll(key, 1 << 28);
    const path = join(seen, key.slice(root.length + 1));
    mkdirSync(dirname(path), { recursive: true });
    if (found.kind === 'found') writeFileSync(path, found.bytes);
  }
  gitSync(['fsck', '--full', '--strict', '--no-dangling'], { cwd: seen });
  return seen;
}
