import { expect, test } from 'vitest';
import { FillRooms, roomFor, type Heat } from '../../../../src/mirror/maintenance/space/fill-rooms.ts';
import { createMemoryStorage } from '../../../../src/storage/drivers/memory.ts';

const never = new AbortController().signal;
const CLONES: Readonly<Record<string, number>> = { cold: 1, warm: 5, hot: 10 };

function heat(clones: number, askedAtMs = Number.NEGATIVE_INFINITY): Heat {
  return { root: 'wanted', clones, askedAtMs, clonesOf: (root) => CLONES[root] ?? 0 };
}

/** Each of 100 bytes, the least recently used first. */
const mirrors = (...roots: readonly string[]) => roots.map((root, n) => ({ root, bytes: 100, usedAtMs: n }));

test('what fits needs nobody else to go', () => {
  expect(roomFor(heat(0), mirrors('hot', 'warm'), 1_000)).toBe(800);
  expect(roomFor(heat(0), [], 1_000)).toBe(1_000);
});

test('as much as those may go for that stand in front of the first hotter one, and eviction makes some air', () => {
  expect(roomFor(heat(7), mirrors('cold', 'warm', 'hot', 'cold'), 400)).toBe(0.9 * 400 - 200);
  expect(roomFor(heat(3), mirrors('cold', 'warm', 'hot', 'cold'), 400)).toBe(0.9 * 400 - 300);
  expect(roomFor(heat(3), mirrors('hot', 'cold', 'cold', 'cold'), 400)).toBe(0);
  expect(roomFor(heat(99), mirrors('hot', 'warm', 'cold', 'cold'), 400)).toBe(0.9 * 400);
});

test('of equals the one stays that was asked for last', () => {
  expect(roomFor(heat(5), mirrors('warm'), 100)).toBe(0);
  expect(roomFor(heat(5, 10), mirrors('warm'), 100)).toBe(90);
});

test('what an earlier stage of the same fill has left takes no room from it', () => {
  const survey = [...mirrors('cold', 'warm', 'hot'), { root: 'wanted', bytes: 150, usedAtMs: 9 }];
  expect(roomFor(heat(3), survey, 400)).toBe(0.9 * 400 - 200);
});

test('fills that are under way at once share it, and the store is listed again only where it has changed', async () => {
  const storage = createMemoryStorage();
  await storage.put('mirrors/up/a.git/HEAD', new Uint8Array(100));
  let listings = 0;
  let nowMs = 0;
  const rooms = new FillRooms({
    storage: { list: (...args) => (listings++, storage.list(...args)) },
    maxBytes: async () => 330,
    known: () => new Map(),
    now: () => nowMs,
  });
  const first = await rooms.of(heat(0), never);
  const second = await rooms.of(heat(0), never);
  expect([listings, first?.isNone]).toEqual([1, false]);
  expect([first?.take(150), second?.take(50), second?.take(1)]).toEqual([true, true, false]);
  expect((await rooms.of(heat(0), never))?.isNone).toBe(true);
  first?.release();
  first?.release();
  expect(second?.take(100)).toBe(true);
  second?.release();
  // Of one that a client goes on with nothing is counted.
  expect(first?.take(1_000)).toBe(true);
  expect((await rooms.of(heat(0), never))?.isNone).toBe(false);
  await storage.put('mirrors/up/b.git/HEAD', new Uint8Array(230));
  expect((await rooms.of(heat(0), never))?.isNone).toBe(false);
  rooms.changed();
  expect([(await rooms.of(heat(0), never))?.isNone, listings]).toEqual([true, 2]);
  nowMs += 60_000;
  await rooms.of(heat(0), never);
  expect(listings).toBe(3);
});

test('without a limit there is no room to keep to, and a listing that failed is not kept', async () => {
  let fails = true;
  const storage = createMemoryStorage();
  const parts = { known: () => new Map(), now: () => 0 };
  const unlimited = new FillRooms({ ...parts, storage, maxBytes: async () => undefined });
  expect(await unlimited.of(heat(0), never)).toBeUndefined();
  const list: typeof storage.list = (...args) => (fails ? Promise.reject(new Error('down')) : storage.list(...args));
  const rooms = new FillRooms({ ...parts, storage: { list }, maxBytes: async () => 100 });
  await expect(rooms.of(heat(0), never)).rejects.toThrow('down');
  fails = false;
  expect((await rooms.of(heat(0), never))?.isNone).toBe(false);
});
