import { readFileSync, writeFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import { packKeys } from '../../../../src/mirror/keys.ts';
import { runPackTask, type WrittenPack } from '../../../../src/mirror/tasks.ts';
import { parseIdx } from '../../../../src/pack/codec/idx.ts';
import type { StorageReader } from '../../../../src/storage/contract.ts';
import { gitSync, temporaryFolder } from '../../../support/git.ts';
import { keysOf } from '../fake-upstream.ts';
import { growMirror, type Grown, mergeParams, never, once, PACK_FOLDER, takeInPack } from './packs-at-rest.ts';

let grown: Grown;
beforeAll(async () => {
  grown = await growMirror(6);
});

const fileOf = (pack: string, kind: 'pack' | 'idx' | 'rev'): string =>
  join(grown.mirror, 'objects', 'pack', `${pack}.${kind}`);

function merge(packs: readonly WrittenPack[], keepsTail: boolean): Promise<WrittenPack> {
  return runPackTask(grown.storage, mergeParams(packs, keepsTail), once(new Uint8Array()), never);
}

/** What git makes of the pack: its files are byte-equal, and every entry is what its name says. */
function judge(pack: WrittenPack): { readonly objects: Map<string, string>; readonly deltas: number } {
  const copy = join(temporaryFolder('judge'), 'check.idx');
  gitSync(['index-pack', '--rev-index', '-o', copy, fileOf(pack.packName, 'pack')]);
  for (const kind of ['idx', 'rev'] as const) {
    const same = readFileSync(copy.replace(/idx$/, kind)).equals(readFileSync(fileOf(pack.packName, kind)));
    expect({ kind, same }).toEqual({ kind, same: true });
  }
  return listed(pack);
}

/** Every object's name with type and, of a delta, its base. */
function listed(pack: WrittenPack): { readonly objects: Map<string, string>; readonly deltas: number } {
  const lines = gitSync(['verify-pack', '-v', fileOf(pack.packName, 'idx')])
    .split('\n')
    .filter((line) => /^[0-9a-f]{40} /.test(line));
  const objects = new Map(
    lines.map((line) => {
      const [oid, type, , , , , base = ''] = line.split(/ +/);
      return [oid as string, `${type} ${base}`];
    }),
  );
  return { objects, deltas: lines.filter((line) => line.split(/ +/).length > 5).length };
}

describe('merging packs at rest', () => {
  test('keeps every object and delta, each object once, and needs no look at what they hold', async () => {
    const sources = grown.packs.map((pack) => listed(pack));
    const merged = await merge(grown.packs, false);
    const { objects, deltas } = judge(merged);
    expect(new Set(objects.keys())).toEqual(new Set(sources.flatMap((source) => [...source.objects.keys()])));
    expect(merged).toMatchObject({ objects: objects.size, tailObjects: 0 });
    expect(merged.tailOffset).toBe(merged.packBytes - 20);
    // Of an object that several hold the first one's entry goes along, so deltas are exactly those.
    const firsts = new Map(sources.toReversed().flatMap((source) => [...source.objects]));
    expect(objects).toEqual(firsts);
    expect(deltas).toBe([...firsts.values()].filter((text) => !text.endsWith(' ')).length);
    expect(deltas).toBeGreaterThan(50);
    // Bases that are by name in every other source are by distance in all of the merged pack.
    expect(merged.packBytes).toBeLessThan(grown.packs.reduce((sum, pack) => sum + pack.packBytes, 0));
  });

  test('what completed thin packs stays in a tail, as far as only tails hold it', async () => {
    const late = grown.packs.slice(2);
    const merged = await merge(late, true);
    const { objects } = judge(merged);
    const idx = parseIdx(readFileSync(fileOf(merged.packName, 'idx')));
    const tail = [...objects.keys()].filter(
      (oid) => idx.offsetAt(idx.find(Buffer.from(oid, 'hex'), 0)) >= merged.tailOffset,
    );
    const before = new Set(grown.packs.slice(0, 2).flatMap((pack) => [...listed(pack).objects.keys()]));
    expect(tail.length).toBe(merged.tailObjects);
    expect(tail.length).toBeGreaterThan(0);
    expect(tail.filter((oid) => !before.has(oid))).toEqual([]);
    expect([...objects.keys()].filter((oid) => !tail.includes(oid) && before.has(oid))).toEqual([]);
    // And merged once more with what lies before, nothing is in a tail.
    const all = await merge([...grown.packs.slice(0, 2), merged], false);
    expect(judge(all).objects.size).toBe(judge(await merge(grown.packs, false)).objects.size);
  });

  test('long entries are copied in windows', async () => {
    const blob = join(temporaryFolder('long'), 'blob');
    writeFileSync(blob, crypto.getRandomValues(new Uint8Array(65_536)));
    const bytes = Buffer.concat(
      Array.from({ length: 50 }, () => Buffer.from(crypto.getRandomValues(new Uint8Array(65_536)))),
    );
    writeFileSync(blob, bytes);
    const oid = gitSync(['hash-object', '-w', blob], { cwd: grown.upstream }).trim();
    const long = await takeInPack(grown.storage, grown.upstream, { revisions: `${oid}\n`, existing: [] });
    expect(long.packBytes).toBeGreaterThan(3 << 20);
    const { objects } = judge(await merge([grown.packs[0] as WrittenPack, long], false));
    expect(objects.get(oid)).toBe('blob ');
  });

  test.each(['body', 'header'])('a source whose %s has changed is found out, and nothing is left', async (where) => {
    const [first, second] = grown.packs as [WrittenPack, WrittenPack];
    const keys = await keysOf(grown.storage, `${PACK_FOLDER}/`);
    const file = fileOf(second.packName, 'pack');
    const intact = readFileSync(file);
    const damaged = Buffer.from(intact);
    const at = where === 'body' ? 60 : 12;
    damaged[at] = (damaged[at] as number) ^ 4;
    rmSync(file);
    writeFileSync(file, damaged);
    await expect(merge([first, second], false)).rejects.toMatchObject({ code: 'malformed_pack' });
    writeFileSync(file, intact);
    expect(await keysOf(grown.storage, `${PACK_FOLDER}/`)).toEqual(keys);
  });

  test('aborted in the middle it leaves nothing', async () => {
    const keys = await keysOf(grown.storage, `${PACK_FOLDER}/`);
    const leaving = new AbortController();
    const open = grown.storage.open.bind(grown.storage);
    const opening = vi.spyOn(grown.storage, 'open').mockImplementation(async (key, signal) => {
      const reader = (await open(key, signal)) as StorageReader;
      if (key !== packKeys(PACK_FOLDER, grown.packs[1]?.packName as string).pack) return reader;
      const read = reader.read.bind(reader);
      reader.read = (...range) => {
        leaving.abort();
        return read(...range);
      };
      return reader;
    });
    const merging = runPackTask(grown.storage, mergeParams(grown.packs, false), once(new Uint8Array()), leaving.signal);
    await expect(merging).rejects.toMatchObject({ code: 'aborted' });
    opening.mockRestore();
    expect(await keysOf(grown.storage, `${PACK_FOLDER}/`)).toEqual(keys);
  });

  test('a pack that holds an object twice is refused', async () => {
    const [first] = grown.packs as [WrittenPack];
    const twice = readFileSync(fileOf(first.packName, 'pack'));
    const idx = parseIdx(readFileSync(fileOf(first.packName, 'idx')));
    // Its last entry once more.
    const offsets = Array.from({ length: idx.objects }, (_, n) => idx.offsetAt(n)).toSorted((a, b) => b - a);
    const whole = twice.subarray(offsets[0], -20);
    const head = Buffer.from(twice.subarray(0, 12));
    head.writeUInt32BE(idx.objects + 1, 8);
    const { createHash } = await import('node:crypto');
    const body = Buffer.concat([head, twice.subarray(12, -20), isWhole(whole) ? whole : Buffer.from(EMPTY_BLOB)]);
    const bytes = Buffer.concat([body, createHash('sha1').update(body).digest()]);
    const packName = 'pack-' + '2'.repeat(40);
    const task = { kind: 'ingest', packFolder: PACK_FOLDER, packName, existing: [], tips: [] } as const;
    const held = await runPackTask(grown.storage, { ...task, memoryBytes: 8 << 20 }, once(bytes), never);
    await expect(merge([grown.packs[1] as WrittenPack, held as WrittenPack], false)).rejects.toMatchObject({
      code: 'malformed_pack',
      message: expect.stringContaining('twice'),
    });
  });
});

const EMPTY_BLOB = [0x30, 0x78, 0x9c, 0x03, 0, 0, 0, 0, 1];

function isWhole(entry: Uint8Array): boolean {
  const type = ((entry[0] as number) >> 4) & 7;
  return type >= 1 && type <= 4;
}
