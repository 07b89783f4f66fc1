/* oxlint-disable vitest/expect-expect, vitest/valid-title, vitest/require-to-throw-message -- expectRefused does */
/** A test for each way in which a pack can be wrong; git refuses every one of these as well, where it is not said otherwise. */
import { deflateSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { planBudget } from '../../../../src/pack/indexing/budget.ts';
import type { MadeEntry } from './judge.ts';
import { failure, indexByGit, makeDelta, makePack, oidOf, sealed } from './judge.ts';

const file: MadeEntry = { type: 3, data: Buffer.from('a file of some bytes') };
const good = makePack([
  file,
  { type: 6, data: makeDelta(20, 24, [[0, 20], 'more']), baseEntry: 0 },
  { type: 7, data: makeDelta(20, 21, [[0, 20], '.']), baseOid: oidOf('blob', file.data) },
]);

async function expectRefused(pack: Uint8Array): Promise<void> {
  expect(() => indexByGit(pack)).toThrow();
  for (const chunkBytes of [1, 1 << 20]) {
    expect((await failure(pack, { chunkBytes })).code).toBe('malformed_pack');
  }
}

function changed(at: number, byte: number): Buffer {
  const body = Buffer.from(good.subarray(0, -20));
  body[at] = byte;
  return sealed(body);
}

test('cut anywhere, as it is and with a trailer that fits', async () => {
  for (let end = 0; end < good.length; end++) {
    expect((await failure(good.subarray(0, end))).code).toBe('malformed_pack');
    if (end >= good.length - 20) continue;
    // The trailer is read as an entry then: of any kind.
    const { code } = await failure(sealed(good.subarray(0, end)));
    expect(['malformed_pack', 'limit_exceeded']).toContain(code);
  }
});

describe('header and trailer', () => {
  test('another signature or version', async () => {
    await expectRefused(changed(0, 0x51));
    await expectRefused(changed(7, 4));
  });

  test('too many and too few entries declared', async () => {
    await expectRefused(makePack([file, file], { count: 3 }));
    await expectRefused(makePack([file, file], { count: 1 }));
    await expectRefused(makePack([file], { count: 0 }));
  });

  test('four thousand million entries declared cost nothing', async () => {
    const before = process.memoryUsage().arrayBuffers;
    await expectRefused(makePack([file], { count: 0xffffffff }));
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(100 << 20);
  });

  test('a wrong trailer, bytes after it', async () => {
    const wrong = Buffer.from(good);
    wrong[wrong.length - 1] = (wrong[wrong.length - 1] as number) ^ 1;
    await expectRefused(wrong);
    expect((await failure(Buffer.concat([good, Buffer.from('x')]))).code).toBe('malformed_pack');
    expect((await failure(Buffer.concat([good, good]))).code).toBe('malformed_pack');
  });
});

describe('entries', () => {
  test('of unknown type', async () => {
    for (const type of [0, 5]) await expectRefused(makePack([{ ...file, type }]));
  });

  test('with a size of 2^53 and more, or without end', async () => {
    const body = good.subarray(0, 12);
    const endless = Buffer.alloc(64, 0xff);
    endless[0] = 0xbf;
    await expectRefused(sealed(Buffer.concat([body, endless])));
  });

  test('longer and shorter than they say', async () => {
    for (const size of [19, 21, 5000, 2 ** 40]) await expectRefused(makePack([{ ...file, size }]));
    await expectRefused(makePack([{ type: 3, data: Buffer.alloc(3_000_000), size: 2_999_999 }]));
  });

  test('whose zlib stream is broken, in its head, its middle and its checksum', async () => {
    const raw = deflateSync(file.data);
    for (const at of [0, 1, 3, raw.length - 6, raw.length - 1]) {
      const broken = Buffer.from(raw);
      broken[at] = (broken[at] as number) ^ 0x5a;
      await expectRefused(makePack([{ ...file, raw: broken }]));
    }
    await expectRefused(makePack([{ ...file, raw: Buffer.alloc(40) }]));
  });
});

describe('deltas', () => {
  const deltaOf = (data: Buffer): Buffer => makePack([file, { type: 6, data, baseEntry: 0 }]);

  test('that are out of bounds', async () => {
    await expectRefused(deltaOf(makeDelta(19, 20, [[0, 19], '.'])));
    await expectRefused(deltaOf(makeDelta(20, 20, [[1, 20]])));
    await expectRefused(deltaOf(makeDelta(20, 4, [[2 ** 32 - 1, 4]])));
    await expectRefused(deltaOf(makeDelta(20, 20, [[0, 19]])));
    await expectRefused(deltaOf(makeDelta(20, 20, [[0, 20], '.'])));
    await expectRefused(deltaOf(makeDelta(20, 20, ['.', [0, 20]])));
    await expectRefused(deltaOf(Buffer.concat([makeDelta(20, 20, [[0, 20]]), Buffer.from([0])])));
    await expectRefused(deltaOf(Buffer.concat([makeDelta(20, 22, [[0, 20]]), Buffer.from([2, 65])])));
    await expectRefused(deltaOf(Buffer.concat([makeDelta(20, 24, [[0, 20]]), Buffer.from([0xff, 1])])));
    await expectRefused(deltaOf(Buffer.from([20])));
    await expectRefused(deltaOf(makeDelta(20, 2 ** 40, [[0, 20]])));
  });

  test('with a base where no entry begins', async () => {
    for (const distance of [1, 11, 4000, 2 ** 50]) {
      await expectRefused(makePack([file, { type: 6, data: makeDelta(20, 1, ['.']), distance }]));
    }
  });

  test('on themselves and on each other', async () => {
    const absent = '1234567890'.repeat(4);
    await expectRefused(makePack([file, { type: 7, data: makeDelta(20, 1, ['.']), baseOid: absent }]));
    await expectRefused(
      makePack([
        { type: 7, data: makeDelta(20, 1, ['.']), baseOid: absent },
        { type: 6, data: makeDelta(1, 1, ['.']), baseEntry: 0 },
      ]),
    );
  });
});

describe('objects that cannot be walked', () => {
  // git indexes these and finds out when it looks at what they refer to.
  const zeroes = Buffer.alloc(20);
  const bad: readonly (readonly [string, number, Buffer])[] = [
    ['commit without a tree', 1, Buffer.from('author a <a> 0 +0000\n')],
    ['commit with half a tree', 1, Buffer.from('tree 1234\n')],
    ['commit with half a parent', 1, Buffer.from(`tree ${'0'.repeat(40)}\nparent 1234\n`)],
    ['tag without an object', 4, Buffer.from('tag x\n')],
    ['tree that is cut', 2, Buffer.from('100644 name\0short')],
    ['tree without a mode', 2, Buffer.concat([Buffer.from(' name\0'), zeroes])],
    ['tree with a bad mode', 2, Buffer.concat([Buffer.from('1009 name\0'), zeroes])],
    ['tree without a name', 2, Buffer.concat([Buffer.from('100644 \0'), zeroes])],
  ];
  for (const [what, type, data] of bad) {
    test(what, async () => {
      expect((await failure(makePack([{ type, data }]))).code).toBe('malformed_pack');
    });
  }
});

test('the budget never exceeds the memory by more than its floors', () => {
  for (const mebibytes of [16, 64, 512, 4096]) {
    const memoryBytes = mebibytes * 2 ** 20;
    const budget = planBudget(memoryBytes);
    const held =
      2 * budget.windowBytes +
      budget.deltaBytes +
      budget.contentBytes +
      budget.blocks * (budget.blockBytes + 32 * 1024) +
      3 * budget.objectBytes;
    expect(held).toBeLessThanOrEqual(memoryBytes);
  }
});
