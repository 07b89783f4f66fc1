import { expect, test } from 'vitest';
import { BoundaryCheck } from '../../../src/mirror/refs/boundary-check.ts';
import type { Failure, ProbeOk } from '../../../src/upstream/contract.ts';

const ok = (isShallow: boolean): ProbeOk => ({
  kind: 'ok',
  objectFormat: 'sha1',
  transport: { kind: 'v0', capabilities: [], isShallow },
});
const DOWN: Failure = { kind: 'unavailable', reason: 'network', message: 'down', retryAtMs: 0 };

function checked(intervalMs: number) {
  const state = { nowMs: 1000, asked: 0, answer: ok(false) as ProbeOk | Failure };
  const check = new BoundaryCheck({ now: () => state.nowMs, intervalMs });
  const isShallow = (arrivedAtMs = state.nowMs): Promise<boolean> =>
    check.isShallow(arrivedAtMs, async () => {
      state.asked++;
      return state.answer;
    });
  return { state, isShallow };
}

test('an answer serves everyone for the interval, and with 0 nobody else', async () => {
  const often = checked(10_000);
  expect(await often.isShallow()).toBe(false);
  often.state.answer = ok(true);
  often.state.nowMs += 9_999;
  expect(await often.isShallow()).toBe(false);
  often.state.nowMs += 1;
  expect(await often.isShallow()).toBe(true);
  expect(often.state.asked).toBe(2);

  const always = checked(0);
  await always.isShallow();
  await always.isShallow();
  expect(always.state.asked).toBe(2);
});

test('who arrived before it was asked for is served by it, whatever the interval', async () => {
  const { state, isShallow } = checked(0);
  const arrivedAtMs = state.nowMs;
  state.nowMs += 500;
  await isShallow();
  expect(await isShallow(arrivedAtMs)).toBe(false);
  expect(state.asked).toBe(1);
});

test('where upstream does not answer, what was known last holds and it is asked again', async () => {
  const { state, isShallow } = checked(10_000);
  state.answer = ok(true);
  await isShallow();
  state.answer = DOWN;
  state.nowMs += 20_000;
  expect(await isShallow()).toBe(true);
  expect(await isShallow()).toBe(true);
  expect(state.asked).toBe(3);
});
