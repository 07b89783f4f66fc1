import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { editMerge, editPublication, MAX_PACKS } from '../../../../src/mirror/catalog/edits.ts';
import type { Manifest, PackClass, PackRecord } from '../../../../src/mirror/catalog/manifest.ts';
import { emptyManifest } from '../../../../src/mirror/catalog/manifest.ts';
import { planMerge, planRoom } from '../../../../src/mirror/maintenance/merging/plan-merge.ts';

let count = 0;
const nameOf = (n: number): string => `pack-${n.toString(16).padStart(40, '0')}`;

function pack(packBytes: number, packClass: PackClass = 'branches', pushes = 1): PackRecord {
  const rest = { objects: 1, checksum: '0'.repeat(40), tailOffset: packBytes - 20, tailObjects: 0 };
  return { ...rest, name: nameOf(++count), packBytes, class: packClass, pushes };
}

const published = (manifest: Manifest, one: PackRecord): Manifest => {
  const builtOn = manifest.packs.map(({ name }) => name);
  const edited = editPublication(
    manifest,
    { pack: one, builtOn, strays: (now) => now, visibility: 'public' },
    manifest.updatedAtMs,
  );
  if (typeof edited === 'string') throw new Error(edited);
  return edited;
};

function merged(manifest: Manifest, sources: readonly PackRecord[]): { manifest: Manifest; bytes: number } {
  const bytes = sources.reduce((sum, one) => sum + one.packBytes, 0);
  const pushes = sources.reduce((sum, one) => sum + one.pushes, 0);
  const edited = editMerge(
    manifest,
    { sources: sources.map(({ name }) => name), merged: pack(bytes, sources[0]?.class, pushes) },
    manifest.updatedAtMs,
  );
  if (edited === undefined) throw new Error('lost');
  return { manifest: edited, bytes };
}

/** What comes of pushes, each followed by all the merging that is due; where it is late, by none until there is no room. */
function play(pushes: readonly PackRecord[], late: boolean): { most: number; copied: number; manifest: Manifest } {
  let manifest = emptyManifest('public', 0);
  let copied = 0;
  let most = 0;
  for (const one of pushes) {
    // What is collected is of no account here.
    manifest = published({ ...manifest, garbage: [] }, one);
    most = Math.max(most, manifest.packs.length);
    while (!late || manifest.packs.length === MAX_PACKS) {
      const sources = late ? planRoom(manifest.packs) : planMerge(manifest.packs);
      if (sources === undefined) break;
      const step = merged(manifest, sources);
      manifest = step.manifest;
      copied += step.bytes;
    }
  }
  return { most, copied, manifest };
}

describe('planning merges', () => {
  test.each([
    ['equal', (n: number) => 1000 + (n % 7)],
    ['now and then large', (n: number) => (n % 97 === 0 ? 5_000_000 : 800)],
    ['larger and larger', (n: number) => 100 + n * 10],
    ['smaller and smaller', (n: number) => 10_000_000 / (1 + n)],
  ])('4,000 pushes, %s, keep few packs and copy no more than they may', (_, bytesOf) => {
    const pushes = Array.from({ length: 4_000 }, (__, n) => pack(n === 0 ? 3_000_000 : bytesOf(n)));
    const { most, copied } = play(pushes, false);
    expect(most).toBeLessThan(MAX_PACKS);
    const pushed = pushes.reduce((sum, one) => sum + one.packBytes, 0);
    expect(copied).toBeLessThanOrEqual(pushed * Math.log2(pushes.length));
    // In a burst nothing is merged until it must be.
    expect(play(pushes, true).most).toBe(MAX_PACKS);
  });

  test('classes stay apart, in order, and each keeps few packs', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 32, max: 1 << 20 })), { minLength: 1, maxLength: 300 }),
        fc.boolean(),
        (pushes, late) => {
          const records = pushes.map(([isOther, bytes], n) => pack(bytes, isOther && n > 0 ? 'others' : 'branches'));
          const { most, manifest } = play(records, late);
          expect(most).toBeLessThanOrEqual(MAX_PACKS);
          const classes = manifest.packs.map((one) => one.class);
          expect(classes).toEqual(classes.toSorted());
          const counted = (name: PackClass, list: readonly PackRecord[]): number =>
            list.filter((one) => one.class === name).reduce((sum, one) => sum + one.pushes, 0);
          for (const name of ['branches', 'others'] as const) {
            expect(counted(name, manifest.packs)).toBe(counted(name, records));
          }
        },
      ),
    );
  });

  test('what was built on a pack that was merged since is still built on what is here; on one that was let go it is not', () => {
    let manifest = published(published(emptyManifest('public', 0), pack(100)), pack(100));
    const [first, second] = manifest.packs as [PackRecord, PackRecord];
    manifest = merged(manifest, [first, second]).manifest;
    const late = { pack: pack(10), builtOn: [second.name], strays: () => [], visibility: 'public' } as const;
    manifest = merged(published(manifest, pack(5)), published(manifest, pack(5)).packs.slice(0, 1)).manifest;
    expect(editPublication(manifest, late, 0)).toMatchObject({ packs: { length: 3 } });
    expect(editPublication(manifest, { ...late, builtOn: [nameOf(999_999)] }, 0)).toBe('stale');
    const forgetful = { ...manifest, garbage: manifest.garbage.filter((one) => one.name !== second.name) };
    expect(editPublication(forgetful, late, 0)).toBe('stale');
  });

  test('a manifest with as many packs as there may be takes no further one, but refs and strays', () => {
    const packs = Array.from({ length: MAX_PACKS }, () => pack(10));
    const full = { ...emptyManifest('public', 0), packs };
    const change = { builtOn: [], strays: () => [], visibility: 'public' } as const;
    expect(editPublication(full, { ...change, pack: pack(5) }, 0)).toBe('crowded');
    expect(editPublication(full, change, 0)).toMatchObject({ packs });
    expect(planRoom(packs)?.length).toBeGreaterThan(1);
  });

  test('a merge whose sources are not all there any more is lost; what was published meanwhile survives', () => {
    const base = published(published(emptyManifest('public', 0), pack(100)), pack(50));
    const sources = base.packs.map(({ name }) => name);
    const later = published(base, pack(7));
    const edited = editMerge(later, { sources, merged: pack(150) }, 9) as Manifest;
    expect(edited.packs.map((one) => one.packBytes)).toEqual([150, 7]);
    expect(edited.garbage.map((one) => one.name)).toEqual(sources);
    expect(editMerge(edited, { sources, merged: pack(150) }, 9)).toBeUndefined();
  });

  test('a name that is listed as garbage is unlisted by its publication, unless its files may be going', () => {
    const one = pack(5);
    const listed = { ...emptyManifest('public', 0), garbage: [{ name: one.name, sinceMs: 0 }] };
    const publication = { pack: one, builtOn: [], strays: () => [], visibility: 'public' } as const;
    expect(editPublication(listed, publication, 86_399_999)).toMatchObject({ packs: [one], garbage: [] });
    expect(editPublication(listed, publication, 86_400_000)).toBe('stale');
  });
});
