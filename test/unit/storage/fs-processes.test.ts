import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openFsStorage } from '../../../src/storage/drivers/fs.ts';
import { bytesOf, increment } from '../../support/storage-contract/context.ts';

const PROGRAM = join(import.meta.dirname, '../../support/storage-process.ts');
let folder: string;
const children: ChildProcess[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hotpack-storage-'));
});
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  await rm(folder, { recursive: true, force: true, maxRetries: 5 });
});

function start(...args: string[]): ChildProcess & { readonly stdout: NodeJS.ReadableStream } {
  const child = spawn(process.execPath, [PROGRAM, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  return child;
}

async function kill(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL');
  await once(child, 'exit');
}

const traces = (): Promise<string[]> => readdir(folder, { recursive: true });

describe('fs storage of several processes', () => {
  it('counts exactly when they increment one document', async () => {
    const counting = ['a', 'b', 'c'].map(async () => {
      const [code] = (await once(start('count', folder, 'n/counter', '30'), 'exit')) as [number];
      return code;
    });
    const storage = await openFsStorage({ folder });
    for (let n = 0; n < 30; n++) await increment(storage, 'n/counter');
    expect(await Promise.all(counting)).toEqual([0, 0, 0]);
    expect(await storage.readDocument('n/counter')).toMatchObject({ bytes: new TextEncoder().encode('120') });
    await storage.close();
    expect((await traces()).filter((name) => /next-|was-/.test(name))).toEqual([]);
  });

  it('shows nothing of a killed writer, and the next one to open cleans up', async () => {
    const child = start('write', folder, 'w/object', '3000000');
    await once(child.stdout, 'data');
    // A living writer's file stays when another opens.
    const beside = await openFsStorage({ folder });
    const inTheMaking = (await traces()).filter((name) => /^tmp\/.+\/\d+$/.test(name));
    expect(inTheMaking).toHaveLength(1);
    await kill(child);
    expect(await beside.head('w/object')).toEqual({ kind: 'absent' });
    expect(await beside.list('')).toEqual({ objects: [] });
    await beside.close();
    await (await openFsStorage({ folder })).close();
    expect(await traces()).toEqual(['tmp']);
  });

  it('reads a document whole whenever its writer is killed', async () => {
    const storage = await openFsStorage({ folder });
    let last = 0;
    for (let round = 0; round < 6; round++) {
      const child = start('replace', folder, 'doc');
      await once(child.stdout, 'data');
      await new Promise((resolve) => setTimeout(resolve, 3 + round * 5));
      await kill(child);
      await increment(storage, 'doc');
      const read = await storage.readDocument('doc');
      const value = read.kind === 'found' ? Number(new TextDecoder().decode(read.bytes)) : 0;
      expect(value).toBeGreaterThan(last);
      last = value;
    }
    await storage.close();
  });
});

describe('fs storage', () => {
  it('finishes a replacement that was cut in the middle', async () => {
    const [from, to] = ['a'.repeat(24), 'b'.repeat(24)];
    await mkdir(join(folder, 'd/doc@'), { recursive: true });
    await writeFile(join(folder, `d/doc@/was-${from}-to-${to}`), 'old');
    await writeFile(join(folder, `d/doc@/next-${to}`), 'new');
    const storage = await openFsStorage({ folder });
    expect(await storage.replaceDocument('d/doc', bytesOf(1), from)).toEqual({ kind: 'lost' });
    expect((await storage.list('d')).objects).toMatchObject([{ key: 'd/doc', bytes: 3 }]);
    expect(await storage.readDocument('d/doc')).toEqual({
      kind: 'found',
      bytes: new TextEncoder().encode('new'),
      version: to,
    });
    expect(await readdir(join(folder, 'd/doc@'))).toEqual([`is-${to}`]);
    await storage.close();
  });

  it('removes what others left for a day, and nothing younger', async () => {
    const leave = async (name: string, ageMs: number): Promise<void> => {
      await mkdir(join(folder, 'tmp', name), { recursive: true });
      const at = new Date(Date.now() - ageMs);
      await writeFile(join(folder, 'tmp', name, '1'), 'x');
      await utimes(join(folder, 'tmp', name, '1'), at, at);
      await utimes(join(folder, 'tmp', name), at, at);
    };
    const hour = 3_600_000;
    const here = hostname().replaceAll(/[^A-Za-z0-9.]/g, '_');
    await leave('elsewhere.1-5-0.aa', 25 * hour);
    await leave('elsewhere.1-6-0.aa', 23 * hour);
    await leave(`${here}.1-7-0.aa`, 2 * hour);
    await leave(`${here}.1-8-0.aa`, 0.5 * hour);
    await leave('anything', 25 * hour);
    await (await openFsStorage({ folder })).close();
    expect((await readdir(join(folder, 'tmp'))).sort()).toEqual(['elsewhere.1-6-0.aa', `${here}.1-8-0.aa`].sort());
  });

  it('takes the folders of deleted keys away, and those of others not', async () => {
    const storage = await openFsStorage({ folder });
    await storage.put('a/b/c/one', bytesOf(1));
    await storage.put('a/x', bytesOf(1));
    await storage.delete(['a/b/c/one']);
    expect((await readdir(join(folder, 'a'))).sort()).toEqual(['x']);
    await storage.close();
  });

  it('says invalid_argument of keys that collide, and keeps what is there', async () => {
    const storage = await openFsStorage({ folder });
    await storage.put('a/b', bytesOf(1));
    await expect(storage.put('a', bytesOf(2))).rejects.toMatchObject({ code: 'invalid_argument' });
    await expect(storage.put('a/b/c', bytesOf(2))).rejects.toMatchObject({ code: 'invalid_argument' });
    const writer = await storage.openWriter('a/b/c');
    await expect(writer.commit()).rejects.toMatchObject({ code: 'invalid_argument' });
    await writer.abort();
    expect(await storage.head('a')).toEqual({ kind: 'absent' });
    expect(await storage.head('a/b/c')).toEqual({ kind: 'absent' });
    expect(await storage.head('a/b')).toMatchObject({ bytes: 1 });
    await storage.delete(['a', 'a/b/c']);
    expect((await storage.list('')).objects).toHaveLength(1);
    await storage.close();
  });

  it('says storage_unavailable, with the cause, when the medium fails', async () => {
    const storage = await openFsStorage({ folder });
    await rm(join(folder, 'tmp'), { recursive: true });
    await writeFile(join(folder, 'tmp'), 'in the way');
    const unavailable = { code: 'storage_unavailable', cause: { code: expect.stringMatching(/^E[A-Z]+$/) } };
    await expect(storage.put('k', bytesOf(1))).rejects.toMatchObject(unavailable);
    await expect(storage.create('k', bytesOf(1))).rejects.toMatchObject(unavailable);
    await expect(storage.openWriter('k')).rejects.toMatchObject(unavailable);
    await expect(storage.probe()).rejects.toMatchObject(unavailable);
    await expect(openFsStorage({ folder })).rejects.toMatchObject(unavailable);
    await rm(join(folder, 'tmp'));
    await storage.probe();
    await storage.put('k', bytesOf(1));
    await storage.close();
  });
});
