import { describe, expect, test } from 'vitest';
import { Catalog } from '../../../../src/mirror/catalog/catalog.ts';
import { editMerge, editPublication } from '../../../../src/mirror/catalog/edits.ts';
import { emptyManifest, type Manifest, type PackRecord } from '../../../../src/mirror/catalog/manifest.ts';
import { mirrorKeys } from '../../../../src/mirror/keys.ts';
import { removeGarbage } from '../../../../src/mirror/maintenance/garbage.ts';
import { tidyMirrors } from '../../../../src/mirror/maintenance/tidy-mirrors.ts';
import type { Storage } from '../../../../src/storage/contract.ts';
import { createMemoryStorage } from '../../../../src/storage/drivers/memory.ts';
import type { Logger } from '../../../../src/telemetry/logger.ts';
import { keysOf } from '../fake-upstream.ts';
import { KEY, never, PACK_FOLDER } from './packs-at-rest.ts';

const DAY_MS = 86_400_000;
const silent = { debug() {}, info() {}, warn() {}, error() {} } as Logger;
const nameOf = (n: number): string => `pack-${n.toString(16).padStart(40, '0')}`;

async function putFiles(storage: Storage, name: string, kinds = ['pack', 'rev', 'idx']): Promise<void> {
  for (const kind of kinds) await storage.put(`${PACK_FOLDER}/${name}.${kind}`, new Uint8Array(9));
}

function record(n: number): PackRecord {
  const rest = { objects: 1, packBytes: 100, checksum: '0'.repeat(40), tailOffset: 80, tailObjects: 0 };
  return { ...rest, name: nameOf(n), class: 'branches', pushes: 1 };
}

function placeIn(storage: Storage, clock: { nowMs: number }) {
  const catalog = new Catalog(storage, mirrorKeys(KEY).manifest);
  return { storage, catalog, packFolder: PACK_FOLDER, now: () => clock.nowMs };
}

describe('packs that no manifest names', () => {
  test('of a killed process are listed, and go a day later; what is published meanwhile stays', async () => {
    const storage = createMemoryStorage();
    const clock = { nowMs: 5_000 };
    const { catalog } = placeIn(storage, clock);
    const tidy = () => tidyMirrors({ storage, now: () => clock.nowMs, logger: silent }, never);
    await catalog.swap(() => ({ ...emptyManifest('public', 0), packs: [record(1)] }));
    await putFiles(storage, nameOf(1), ['pack', 'rev', 'idx', 'bitmap']);
    await putFiles(storage, nameOf(2), ['pack']);
    await putFiles(storage, nameOf(3), ['pack', 'rev', 'idx', 'bitmap']);
    await tidy();
    expect((await catalog.read())?.garbage).toEqual([2, 3].map((n) => ({ name: nameOf(n), sinceMs: 5_000 })));
    clock.nowMs += DAY_MS - 1;
    await tidy();
    expect(await keysOf(storage, `${PACK_FOLDER}/`)).toHaveLength(9);
    const publication = { pack: record(3), builtOn: [], strays: () => [], visibility: 'public' } as const;
    await catalog.swap((current) => editPublication(current, publication, clock.nowMs) as Manifest);
    clock.nowMs += 1;
    await tidy();
    expect((await catalog.read())?.garbage).toEqual([]);
    const left = await keysOf(storage, `${PACK_FOLDER}/`);
    expect(left.filter((key) => key.includes(nameOf(2)))).toEqual([]);
    expect(left).toHaveLength(8);
  });

  test('are found where there is no manifest at all, and a mirror that cannot be read holds up no other', async () => {
    const storage = createMemoryStorage();
    const clock = { nowMs: 1 };
    await storage.put(`mirrors/up/a.git/objects/pack/${nameOf(7)}.pack`, new Uint8Array(4));
    await storage.replaceDocument('mirrors/up/a.git/hotpack/manifest', new Uint8Array(4), 'absent');
    await putFiles(storage, nameOf(1));
    const tidy = () => tidyMirrors({ storage, now: () => clock.nowMs, logger: silent }, never);
    await tidy();
    clock.nowMs += DAY_MS;
    await tidy();
    expect(await keysOf(storage, `${PACK_FOLDER}/`)).toEqual([]);
    expect(await keysOf(storage, 'mirrors/up/a.git/objects/')).toHaveLength(1);
  });

  test('that were merged go sooner where there are more than a thousand of them; others never do', async () => {
    const storage = createMemoryStorage();
    const clock = { nowMs: 1 };
    const place = placeIn(storage, clock);
    const merged = Array.from({ length: 1_003 }, (_, n) => ({ name: nameOf(n), sinceMs: 0, heldBy: nameOf(9_999) }));
    const orphans = Array.from({ length: 5 }, (_, n) => ({ name: nameOf(5_000 + n), sinceMs: 0 }));
    await place.catalog.swap(() => ({ ...emptyManifest('public', 0), garbage: [...orphans, ...merged] }));
    for (const n of [0, 2, 3, 5_000]) await putFiles(storage, nameOf(n));
    expect(await removeGarbage(place)).toBe(3);
    expect((await place.catalog.read())?.garbage).toHaveLength(1_005);
    const left = await keysOf(storage, `${PACK_FOLDER}/`);
    expect(new Set(left.map((key) => key.split('/').at(-1)?.split('.')[0]))).toEqual(
      new Set([nameOf(3), nameOf(5_000)]),
    );
    expect(await removeGarbage(place)).toBe(0);
  });

  test('a merge lists its sources', () => {
    const packs = { ...emptyManifest('public', 0), packs: [record(1), record(2), record(3)] };
    const merge = { sources: [nameOf(2), nameOf(3)], merged: record(4) };
    expect(editMerge(packs, merge, 8)?.garbage).toEqual(
      merge.sources.map((name) => ({ name, sinceMs: 8, heldBy: nameOf(4) })),
    );
  });
});
