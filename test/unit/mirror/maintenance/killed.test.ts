/**
 * A process that ends between any two of its writes: git accepts what it leaves, and the next process goes on from there. Its last
 * writes take in a push that deletes a branch, publish it, and write packs anew without that branch.
 */
import { beforeAll, expect, test } from 'vitest';
import { HotpackError } from '../../../../src/bytes/error.ts';
import { mirrorKeys } from '../../../../src/mirror/keys.ts';
import type { Storage, StorageWriter } from '../../../../src/storage/contract.ts';
import { createMemoryStorage } from '../../../../src/storage/drivers/memory.ts';
import { FastImport } from '../../../support/fast-import.ts';
import { gitSync } from '../../../support/git.ts';
import { addHistory, emptyRepository } from '../../../support/packed-repository.ts';
import { noise, revision } from '../../../support/repositories.ts';
import { check, createWorld, filled, isHere } from '../fake-upstream.ts';
import { seenByGit } from '../seen-by-git.ts';
import { KEY } from './packs-at-rest.ts';

const DAY_MS = 86_400_000;
const ROOT = mirrorKeys(KEY).root;

let folder: string;
let before: Storage;
let gone: string;
let tip: string;

beforeAll(async () => {
  folder = emptyRepository('killed');
  addHistory(folder, { commits: 8 });
  const stream = new FastImport(1_700_000_000);
  const large = [{ path: 'large.bin', data: noise('large', 200_000) }];
  stream.commit({ ref: 'refs/heads/gone', from: 'refs/heads/main^0', message: 'large\n', changes: large });
  stream.run(folder);
  gone = revision(folder, 'gone');
  before = createMemoryStorage();
  await filled(createWorld(folder, { storage: before }));
  addHistory(folder, { commits: 2, start: 8 });
  tip = revision(folder, 'main');
  gitSync(['update-ref', '-d', 'refs/heads/gone'], { cwd: folder });
});

async function copyOf(storage: Storage): Promise<Storage> {
  const copy = createMemoryStorage();
  for (const { key, kind } of (await storage.list('')).objects) {
    const found = kind === 'document' ? await storage.readDocument(key) : await storage.readAll(key, 1 << 28);
    if (found.kind === 'absent') continue;
    if (kind === 'document') await copy.replaceDocument(key, found.bytes, 'absent');
    else await copy.put(key, found.bytes);
  }
  return copy;
}

/** The same storage as a process sees it that does nothing any more after so many writes. */
function mortal(storage: Storage, writes: number): { readonly storage: Storage; readonly isDead: () => boolean } {
  let left = writes;
  const alive = <A extends unknown[], R>(write: (...args: A) => Promise<R>): ((...args: A) => Promise<R>) => {
    return async (...args) => {
      if (left-- <= 0) throw new HotpackError('storage_unavailable', 'killed');
      return write(...args);
    };
  };
  const own: Partial<Storage> = {
    put: alive(storage.put.bind(storage)),
    create: alive(storage.create.bind(storage)),
    delete: alive(storage.delete.bind(storage)),
    replaceDocument: alive(storage.replaceDocument.bind(storage)),
    async openWriter(...args) {
      const writer = await storage.openWriter(...args);
      const commit = alive(writer.commit.bind(writer));
      return new Proxy(writer, {
        get(target, name) {
          if (name === 'commit') return commit;
          const value: unknown = Reflect.get(target, name, target);
          return typeof value === 'function' ? (value.bind(target) as unknown) : value;
        },
      }) satisfies StorageWriter;
    },
  };
  const seen = new Proxy(storage, {
    get(target, name) {
      const value: unknown = Reflect.get(name in own ? own : target, name);
      return typeof value === 'function' ? (value.bind(name in own ? own : target) as unknown) : value;
    },
  });
  return { storage: seen, isDead: () => left < 0 };
}

test('leaves what git accepts and the next process goes on from, wherever it ends', async () => {
  let deaths = 0;
  for (let writes = 0; ; writes++) {
    const storage = await copyOf(before);
    const process = mortal(storage, writes);
    await check(createWorld(folder, { storage: process.storage })).catch(() => undefined);
    await seenByGit(storage, ROOT);
    const next = createWorld(folder, { storage });
    await check(next);
    expect({ writes, tip: await isHere(next.mirror, tip) }).toEqual({ writes, tip: true });
    expect({ writes, gone: await isHere(next.mirror, gone) }).toEqual({ writes, gone: false });
    await seenByGit(storage, ROOT);
    next.nowMs += DAY_MS;
    await check(next);
    const seen = await seenByGit(storage, ROOT);
    expect(revision(seen, 'main')).toBe(tip);
    if (!process.isDead()) break;
    deaths++;
  }
  // Pack, rev, idx, the swap and the refs of both at least.
  expect(deaths).toBeGreaterThan(10);
});
