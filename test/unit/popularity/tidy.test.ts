/** The daily pass, and reads while it is under way. */
import { expect, test } from 'vitest';
import { mergeInto, type CountsByInstance } from '../../../src/popularity/histogram/counts.ts';
import { writeRecord, parseRecord, parseShard } from '../../../src/popularity/histogram/encoding.ts';
import { readDays } from '../../../src/popularity/histogram/read.ts';
import { tidyCounts, type TidyEvent } from '../../../src/popularity/histogram/tidy.ts';
import { createMemoryStorage } from '../../../src/storage/drivers/memory.ts';
import type { Kv } from '../../../src/storage/kv/contract.ts';
import { createKv } from '../../../src/storage/kv/driver-kv.ts';

const NOW = Date.parse('2026-11-22T12:00:00Z');
const shard = (clones: number): string => `{"v":1,"repos":{"up/a":{"clones":${clones}}}}`;

async function keysOf(kv: Kv): Promise<string[]> {
  const keys: string[] = [];
  for await (const key of kv.list('')) keys.push(key);
  return keys.toSorted();
}

async function tidy(kv: Kv): Promise<TidyEvent[]> {
  const events: TidyEvent[] = [];
  await tidyCounts(kv, { now: () => NOW, keptDays: 90, onEvent: (event) => events.push(event) });
  return events;
}

async function clonesOn(kv: Kv, day: string): Promise<[number, string[]]> {
  const malformed: string[] = [];
  let sum = 0;
  const question = { kind: 'clones', from: day, to: day, onMalformed: (key: string) => malformed.push(key) } as const;
  for await (const { counts } of readDays(kv, question)) {
    for (const one of counts.values()) sum += one.get('up/a')?.get('clones') ?? 0;
  }
  return [sum, malformed];
}

test('old days go, odd keys go and are reported, odd values stay and are reported; other people’s keys stay', async () => {
  const kv = createKv(createMemoryStorage());
  const kept = ['counts:clones:2026-08-24:i00000001:0-0', 'counts:clones:2026-11-23:i00000001:0-0', 'jobs:last'];
  const gone = ['counts:clones:2026-08-23:i00000001:0-0', 'counts:traffic:2020-01-01:i00000001:0-0'];
  const odd = ['counts:clones:2026-02-30:i00000001:0-0', 'counts:clones:2026-11-25:i00000001:0-0', 'counts:others:x'];
  for (const key of [...kept, ...gone, ...odd]) await kv.set(key, shard(1));
  await kv.set('counts:clones:2026-11-01:i00000002:0-0', '{"v":1,"repos":{"up/a":{"clones":-1}}}');
  const events = await tidy(kv);
  expect(events.map((event) => `${event.kind} ${'key' in event ? event.key : ''}`).toSorted()).toEqual(
    [...odd.map((key) => `malformed_key ${key}`), 'malformed_value counts:clones:2026-11-01:i00000002:0-0'].toSorted(),
  );
  const left = await keysOf(kv);
  expect(left).toContain('jobs:last');
  expect(left).toContain('counts:clones:2026-11-23:i00000001:0-0');
  expect(left).toContain('counts:clones:2026-11-01:i00000002:0-0');
  expect(left.filter((key) => gone.includes(key) || odd.includes(key))).toEqual([]);
  expect(await clonesOn(kv, '2026-11-01')).toEqual([0, ['counts:clones:2026-11-01:i00000002:0-0']]);
});

test('a closed day becomes a record in one pass and loses its shards in the next; a late shard joins them', async () => {
  const kv = createKv(createMemoryStorage());
  await kv.set('counts:clones:2026-11-19:i00000001:0-0', shard(3));
  await kv.set('counts:clones:2026-11-19:i00000002:0-0', shard(4));
  await kv.set('counts:clones:2026-11-20:i00000001:0-0', shard(5));
  await tidy(kv);
  expect((await keysOf(kv)).length).toBe(4);
  expect(await clonesOn(kv, '2026-11-19')).toEqual([7, []]);
  await tidy(kv);
  expect((await keysOf(kv)).length).toBe(2);
  expect(await clonesOn(kv, '2026-11-19')).toEqual([7, []]);
  await kv.set('counts:clones:2026-11-19:i00000001:0-1', shard(9));
  expect(await clonesOn(kv, '2026-11-19')).toEqual([13, []]);
  for (let pass = 0; pass < 3; pass++) await tidy(kv);
  expect((await keysOf(kv)).length).toBe(2);
  expect(await clonesOn(kv, '2026-11-19')).toEqual([13, []]);
  // Not closed: 48 hours after its end are not over.
  expect(await keysOf(kv)).toContain('counts:clones:2026-11-20:i00000001:0-0');
});

test('a shard that is tidied away between a list and its read is found in the record that took its place', async () => {
  const kv = createKv(createMemoryStorage());
  await kv.set('counts:clones:2026-11-19:i00000001:0-0', shard(3));
  let lists = 0;
  const racing: Kv = {
    ...kv,
    async *list(prefix, signal) {
      const keys: string[] = [];
      for await (const key of kv.list(prefix, signal)) keys.push(key);
      if (lists++ === 0) for (let pass = 0; pass < 2; pass++) await tidy(kv);
      yield* keys;
    },
  };
  expect(await clonesOn(racing, '2026-11-19')).toEqual([3, []]);
});

test('records and shards that were spoiled are none', () => {
  const counts: CountsByInstance = new Map();
  mergeInto(
    counts,
    'i00000001',
    new Map([
      ['up/a', new Map([['clones', 3]])],
      ['__proto__', new Map([['clones', 1]])],
    ]),
  );
  const text = writeRecord(counts);
  expect(parseRecord(text)).toEqual(counts);
  for (const spoiled of [
    '',
    '[]',
    '{"v":2}',
    text.slice(0, -1),
    text.replace(',3]', ',"3"]'),
    text.replace('[0,0,', '[9,0,'),
    text.replace(',3]', ']'),
  ]) {
    expect(parseRecord(spoiled)).toBeUndefined();
  }
  for (const spoiled of [
    '',
    'null',
    '{"v":1}',
    '{"v":1,"repos":{"up/a":3}}',
    '{"v":1,"repos":{"up/a":{"clones":1.5}}}',
  ]) {
    expect(parseShard(spoiled)).toBeUndefined();
  }
});
