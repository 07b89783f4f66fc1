import { expect, test } from 'vitest';
import { createThrottle, parseRetryAfterMs } from '../../../src/upstream/exchange/throttle.ts';
import type { UpstreamConfig } from '../../../src/upstream/repository.ts';

const up: UpstreamConfig = { name: 'up', baseUrl: 'http://up', ignoresCase: false };
const other: UpstreamConfig = { name: 'other', baseUrl: 'http://other', ignoresCase: false };

test('Retry-After is honoured, bounded, and kept to its upstream and kind of asker', () => {
  let now = 1_000_000;
  const throttle = createThrottle(() => now);
  expect(throttle.refused(up, 'anonymous', '7')).toBe(now + 7_000);
  expect(throttle.untilMs(up, 'anonymous')).toBe(now + 7_000);
  expect(throttle.untilMs(up, 'token')).toBeUndefined();
  expect(throttle.untilMs(other, 'anonymous')).toBeUndefined();
  now += 7_000;
  expect(throttle.untilMs(up, 'anonymous')).toBeUndefined();
  expect(throttle.refused(up, 'token', '999999')).toBe(now + 3_600_000);
});

test('without Retry-After pauses double from 5 s to 5 min, once a pause, until a good answer', () => {
  let now = 0;
  const throttle = createThrottle(() => now);
  const pauses: number[] = [];
  for (let i = 0; i < 9; i++) {
    const until = throttle.refused(up, 'anonymous', null);
    pauses.push(until - now);
    // Others that were under way are refused as well: that is the same pause.
    expect(throttle.refused(up, 'anonymous', null)).toBe(until);
    now = until;
  }
  expect(pauses).toEqual([5, 10, 20, 40, 80, 160, 300, 300, 300].map((s) => s * 1000));
  throttle.answered(up, 'anonymous');
  expect(throttle.refused(up, 'anonymous', null) - now).toBe(5_000);
});

test('a client of its own account pauses nobody', () => {
  const throttle = createThrottle(() => 0);
  throttle.refused(up, 'client', '60');
  expect(throttle.untilMs(up, 'client')).toBeUndefined();
});

test.each([
  ['0', 0],
  ['120', 120_000],
  ['-5', undefined],
  ['soon', undefined],
  [null, undefined],
  ['Thu, 01 Jan 1970 00:01:00 GMT', 60_000],
  ['Thu, 01 Jan 1960 00:00:00 GMT', 0],
])('Retry-After %s', (value, ms) => {
  expect(parseRetryAfterMs(value, 0)).toBe(ms);
});
