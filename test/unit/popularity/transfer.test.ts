/** Counts as lines: out of one store and into another. */
import { expect, test } from 'vitest';
import {
  exportClones,
  importClones,
  parseCloneLine,
  type CloneLine,
} from '../../../src/popularity/histogram/transfer.ts';
import { createMemoryStorage } from '../../../src/storage/drivers/memory.ts';
import type { Kv } from '../../../src/storage/kv/contract.ts';
import { createKv } from '../../../src/storage/kv/driver-kv.ts';

const NOW = Date.parse('2026-11-22T12:00:00Z');
const options = { now: () => NOW, keptDays: 90 };
const onMalformed = (key: string): void => expect.unreachable(key);

async function exported(kv: Kv): Promise<CloneLine[]> {
  const lines: CloneLine[] = [];
  for await (const line of exportClones(kv, { nowMs: NOW, keptDays: 90, onMalformed })) lines.push(line);
  return lines;
}

const LINES: readonly CloneLine[] = [
  { repo: 'up/a', day: '2026-08-24', clones: 1 },
  { repo: 'up/a', day: '2026-11-22', clones: 3 },
  { repo: 'up/group/sub/b c', day: '2026-11-22', clones: 4 },
];

test('what is imported is exported by day and name; the same lines count once, other lines beside them', async () => {
  const kv = createKv(createMemoryStorage());
  const shuffled = [LINES[2], LINES[0], LINES[1]] as CloneLine[];
  expect(await importClones(kv, shuffled, options)).toEqual({ lines: 3, clones: 8, skipped: 0 });
  expect(await exported(kv)).toEqual(LINES);
  await importClones(kv, shuffled, options);
  expect(await exported(kv)).toEqual(LINES);
  await importClones(kv, [{ repo: 'up/a', day: '2026-11-22', clones: 10 }], options);
  expect((await exported(kv))[1]).toEqual({ repo: 'up/a', day: '2026-11-22', clones: 13 });
});

test('lines of one repository and day add up; days that are not kept or are yet to come are passed over', async () => {
  const kv = createKv(createMemoryStorage());
  const lines = [
    { repo: 'up/a', day: '2026-11-20', clones: 1 },
    { repo: 'up/a', day: '2026-11-20', clones: 2 },
    { repo: 'up/a', day: '2026-08-23', clones: 4 },
    { repo: 'up/a', day: '2026-11-23', clones: 8 },
  ];
  expect(await importClones(kv, lines, options)).toEqual({ lines: 2, clones: 3, skipped: 2 });
  expect(await exported(kv)).toEqual([{ repo: 'up/a', day: '2026-11-20', clones: 3 }]);
});

test('an import that failed half-way is completed by the same lines', async () => {
  const kv = createKv(createMemoryStorage());
  let writes = 0;
  const failing: Kv = {
    ...kv,
    set: (...args) => (writes++ === 1 ? Promise.reject(new Error('full')) : kv.set(...args)),
  };
  await expect(importClones(failing, LINES, options)).rejects.toThrow('full');
  expect((await exported(kv)).length).toBeLessThan(LINES.length);
  await importClones(failing, LINES, options);
  expect(await exported(kv)).toEqual(LINES);
});

test.each([
  ['{"repo":"up/a","day":"2026-11-22"}', 'clones'],
  ['{"repo":"up/a","day":"2026-11-22","clones":0}', 'clones'],
  ['{"repo":"up/a","day":"2026-11-22","clones":1.5}', 'clones'],
  ['{"repo":"up/a","day":"2026-11-31","clones":1}', 'day'],
  ['{"repo":"up/a","day":"22.11.2026","clones":1}', 'day'],
  ['{"repo":"up","day":"2026-11-22","clones":1}', 'repo'],
  ['{"repo":"Up/a","day":"2026-11-22","clones":1}', 'repo'],
  [`{"repo":"up/${'a'.repeat(700)}","day":"2026-11-22","clones":1}`, 'repo'],
  ['{"repo":"up/a\\nb","day":"2026-11-22","clones":1}', 'repo'],
  ['{"repo":', 'JSON'],
  ['null', 'object'],
])('%j is no line of counts', (text, word) => {
  expect(() => parseCloneLine(text, 7)).toThrow(new RegExp(`^line 7: .*${word}`));
});

test('empty lines are passed over', () => {
  expect(parseCloneLine('  ', 1)).toBeUndefined();
  expect(parseCloneLine(JSON.stringify(LINES[0]), 1)).toEqual(LINES[0]);
});
