import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { parseBitmapFile, writeBitmapFile } from '../../../../src/pack/bitmap/bitmap-file.ts';
import { wordsOf } from '../../../../src/pack/bitmap/ewah.ts';
import { parseIdx } from '../../../../src/pack/codec/idx.ts';
import { bitmapOf, packedInTwo, storeWithBitmap } from '../../../support/bitmapped-store.ts';
import { gitSync } from '../../../support/git.ts';
import { addHistory, emptyRepository, packSources } from '../../../support/packed-repository.ts';
import { makeRandomHistory } from '../../../support/random-history.ts';
import type { PackSource } from '../../../../src/pack/reading/packed-objects.ts';

/** One pack of a history with merges and nested tags, and what its refs name. */
function oneRandomPack(seed: number) {
  const { folder, commits } = makeRandomHistory({ seed, commits: 90, skewedClocks: seed % 2 === 0 });
  gitSync(['repack', '-adfq'], { cwd: folder });
  const tips = gitSync(['for-each-ref', '--format=%(objectname)', 'refs/heads', 'refs/tags'], { cwd: folder });
  return { folder, commits, source: packSources(folder)[0] as PackSource, tips: tips.trim().split('\n') };
}

const written = (built: Awaited<ReturnType<typeof bitmapOf>>): Uint8Array => {
  if (built.kind !== 'built') throw new Error(`no bitmap was built: ${built.kind}`);
  return built.file;
};
const reachedBy = (folder: string, commit: string): string[] =>
  gitSync(['rev-list', '--objects', '--no-object-names', commit], { cwd: folder }).trim().split('\n').toSorted();

describe('a bitmap that we write', () => {
  it.each([31, 32])('says what git finds by walking (history %i)', async (seed) => {
    const { folder, commits, source, tips } = oneRandomPack(seed);
    const file = written(await bitmapOf(source, tips));
    writeFileSync(join(folder, 'objects/pack', `${source.name}.bitmap`), file);
    const { ranks, xorDistances } = parseBitmapFile(file, parseIdx(source.idx));
    // Both ways of storing a set are used, and every tip has one.
    expect(new Set(xorDistances).size).toBeGreaterThan(1);
    expect(xorDistances).toContain(0);
    const named = [...ranks].map((rank) => parseIdx(source.idx).oidAt(rank));
    const heads = gitSync(['for-each-ref', '--format=%(objectname)', 'refs/heads'], { cwd: folder }).trim().split('\n');
    expect(heads.filter((oid) => !named.includes(oid))).toEqual([]);
    // git compares the set of one commit, bit by bit and type by type, with what its own walk shows.
    for (const commit of named.slice(0, 12)) gitSync(['rev-list', '--test-bitmap', commit], { cwd: folder });
    for (const filter of ['blob:none', 'tree:0', 'object:type=blob']) {
      const count = ['rev-list', '--count', '--objects', `--filter=${filter}`, commits.at(-1) as string];
      expect(gitSync([...count, '--use-bitmap-index'], { cwd: folder })).toBe(gitSync(count, { cwd: folder }));
    }
  });

  it('is the same every time, and smaller where fewer sets fit the budget', async () => {
    const { source, tips } = oneRandomPack(33);
    const file = written(await bitmapOf(source, tips));
    expect(written(await bitmapOf(source, tips))).toEqual(file);
    const small = written(await bitmapOf(source, tips, 2000));
    const rows = (one: Uint8Array): number => parseBitmapFile(one, parseIdx(source.idx)).ranks.length;
    expect(rows(small)).toBeLessThan(rows(file) / 4);
    expect(rows(small)).toBeGreaterThan(0);
    expect((await bitmapOf(source, tips, 10)).kind).toBe('nothing');
  });

  it('has every one of the last commits of a long line, and fewer of the older ones', async () => {
    const folder = emptyRepository('line');
    addHistory(folder, { commits: 400 });
    gitSync(['repack', '-adq'], { cwd: folder });
    const source = packSources(folder)[0] as PackSource;
    const line = gitSync(['rev-list', '--first-parent', 'main'], { cwd: folder }).trim().split('\n');
    const idx = parseIdx(source.idx);
    const { ranks } = parseBitmapFile(written(await bitmapOf(source, [line[0] as string])), idx);
    const named = new Set([...ranks].map((rank) => idx.oidAt(rank)));
    expect(line.slice(0, 100).every((oid) => named.has(oid))).toBe(true);
    expect(named.size).toBeLessThan(200);
    let farthest = 0;
    for (let at = 0, last = 0; at < line.length; at++) {
      if (named.has(line[at] as string)) last = at;
      farthest = Math.max(farthest, at - last);
    }
    expect(farthest).toBeLessThan(8);
  });

  it('is not made of a pack that lacks what it refers to, nor without a commit', async () => {
    const history = makeRandomHistory({ seed: 34, commits: 40, skewedClocks: false });
    const packs = packedInTwo(history, 20);
    const last = history.commits.at(-1) as string;
    expect(await bitmapOf(packs.new, [last])).toEqual({ kind: 'open' });
    expect(await bitmapOf(packs.old, [last])).toEqual({ kind: 'nothing' });
    expect((await bitmapOf(packs.old, [last, history.commits[3] as string])).kind).toBe('built');
  });
});

describe('a bitmap that git has written', () => {
  it('is read with its extensions, each set as git walks it', async () => {
    const { folder, commits } = oneRandomPack(35);
    const config = ['-c', 'pack.writeBitmapHashCache=true', '-c', 'pack.writeBitmapLookupTable=true'];
    gitSync([...config, 'repack', '-adbq'], { cwd: folder });
    const packs = join(folder, 'objects/pack');
    const name = readdirSync(packs).find((file) => file.endsWith('.bitmap')) as string;
    const file = new Uint8Array(readFileSync(join(packs, name)));
    expect(new DataView(file.buffer).getUint16(6)).toBe(0x15);
    const store = storeWithBitmap(packSources(folder), file);
    const bitmaps = await store.bitmaps?.();
    if (bitmaps === undefined) throw new Error("git's bitmap was refused");
    let sets = 0;
    for (const commit of commits) {
      const row = bitmaps.rowOf(store.find(commit));
      if (row < 0) continue;
      sets++;
      const words = new Uint32Array(wordsOf(bitmaps.bits));
      bitmaps.orInto(row, words);
      const members: string[] = [];
      for (let bit = 0; bit < bitmaps.bits; bit++) {
        if (((words[bit >>> 5] as number) >>> (bit & 31)) & 1) members.push(store.oidOf(bitmaps.objectAt(bit)));
      }
      expect(members.toSorted()).toEqual(reachedBy(folder, commit));
    }
    expect(sets).toBeGreaterThan(10);
    for (let object = 0; object < store.objectCount; object++) {
      expect(bitmaps.objectAt(bitmaps.bitOf(object))).toBe(object);
      expect(bitmaps.typeAt(bitmaps.bitOf(object))).toBe(await store.typeOf(object));
    }
  });
});

describe('a damaged bitmap', () => {
  const pack = { objects: 100, packChecksum: 'ab'.repeat(20) };
  const empty = Uint8Array.from(Buffer.from('00000000000000010000000000000000' + '00000000', 'hex'));
  const entry = { rank: 7, xorDistance: 0, set: empty };
  const whole = (): Buffer => {
    const types = [empty, empty, empty, empty];
    return Buffer.from(
      writeBitmapFile({ packChecksum: pack.packChecksum, types, entries: [entry, { ...entry, xorDistance: 1 }] }),
    );
  };
  const sealed = (file: Buffer): Buffer => {
    createHash('sha1')
      .update(file.subarray(0, -20))
      .digest()
      .copy(file, file.length - 20);
    return file;
  };
  const FIRST_ENTRY = 32 + 4 * empty.length;

  it('is told from a whole one', () => {
    expect([...parseBitmapFile(whole(), pack).ranks]).toEqual([7, 7]);
  });

  it.each<[string, (file: Buffer) => Buffer]>([
    ['is too short', (file) => file.subarray(0, 40)],
    ['has another signature', (file) => sealed((file.write('BITX', 0), file))],
    ['is of another version', (file) => sealed((file.writeUInt16BE(2, 4), file))],
    ['has an unknown extension', (file) => sealed((file.writeUInt16BE(0x21, 6), file))],
    ['is not closed', (file) => sealed((file.writeUInt16BE(0, 6), file))],
    ['belongs to another pack', (file) => sealed((file.writeUInt8(1, 12), file))],
    ['has one flipped bit', (file) => (file.writeUInt8(1, 40), file)],
    ['promises entries that are not there', (file) => sealed((file.writeUInt32BE(3, 8), file))],
    ['promises billions of entries', (file) => sealed((file.writeUInt32BE(0xffffffff, 8), file))],
    ['promises a table that is not there', (file) => sealed((file.writeUInt16BE(0x5, 6), file))],
    ['names an object beyond the pack', (file) => sealed((file.writeUInt32BE(100, FIRST_ENTRY), file))],
    ['differs from an entry before the first', (file) => sealed((file.writeUInt8(1, FIRST_ENTRY + 4), file))],
  ])('is refused where it %s', (_, damage) => {
    expect(() => parseBitmapFile(damage(whole()), pack)).toThrow(/malformed bitmap/);
  });
});
