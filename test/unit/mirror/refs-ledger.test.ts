import { describe, expect, test } from 'vitest';
import { RefsLedger } from '../../../src/mirror/refs/refs-ledger.ts';
import type { RefsAnswer, RefsCheck, RefsScope } from '../../../src/mirror/refs/refs-ledger.ts';
import type { Asker } from '../../../src/mirror/services.ts';
import type { RefsSnapshot } from '../../../src/protocol/refs-snapshot.ts';
import type { Failure, Refused, RefsOk } from '../../../src/upstream/contract.ts';
import { asker, DENIED, DOWN } from './fake-upstream.ts';

const refsNamed = (digit: string): RefsSnapshot => ({
  head: { kind: 'absent' },
  refs: [{ name: 'refs/heads/main', oid: digit.repeat(40) }],
});

interface Sent {
  readonly scope: RefsScope;
  readonly asker: Asker;
  readonly answer: (outcome: RefsOk | Refused | Failure | Error) => Promise<void>;
}

function createBench(intervalMs = 0) {
  const sent: Sent[] = [];
  const kept: RefsCheck[] = [];
  const clock = { nowMs: 1000 };
  const ledger = new RefsLedger({
    now: () => clock.nowMs,
    intervalMs,
    ask: (scope, who) => {
      const { promise, resolve, reject } = Promise.withResolvers<RefsOk | Refused | Failure>();
      const answer = async (outcome: RefsOk | Refused | Failure | Error): Promise<void> => {
        if (outcome instanceof Error) reject(outcome);
        else resolve(outcome);
        await turns();
      };
      sent.push({ scope, asker: who, answer });
      return promise;
    },
    onCheck: (check) => void kept.push(check),
  });
  const get = (scope: RefsScope = 'branches', who = asker(), signal?: AbortSignal): Promise<RefsAnswer> =>
    ledger.get(scope, { arrivedAtMs: clock.nowMs, asker: who, signal });
  return {
    ledger,
    sent,
    kept,
    clock,
    get,
    ok: (n: number, digit: string) => sent[n]!.answer({ kind: 'ok', refs: refsNamed(digit) }),
  };
}

async function turns(): Promise<void> {
  for (let i = 0; i < 20; i++) await Promise.resolve();
}

async function shown(answer: Promise<RefsAnswer>): Promise<string> {
  const came = await answer;
  return came.kind === 'failed' ? came.failure.kind : (came.check.refs.refs[0]?.oid[0] ?? 'none');
}

test('a list that has not changed stays the same one', async () => {
  const { get, ok, clock, ledger } = createBench();
  const lists: (RefsSnapshot | undefined)[] = [];
  for (const [n, digit] of ['a', 'a', 'b', 'a'].entries()) {
    clock.nowMs += 10;
    const answer = get();
    await ok(n, digit);
    const came = await answer;
    lists.push(came.kind === 'known' ? came.check.refs : undefined);
    expect(ledger.latest()?.sentAtMs).toBe(clock.nowMs);
    expect(ledger.latest()?.refs).toBe(lists.at(-1));
  }
  expect(lists[0]).toEqual(refsNamed('a'));
  expect(lists[1]).toBe(lists[0]);
  expect(lists[2]).toEqual(refsNamed('b'));
  expect(lists[3]).not.toBe(lists[0]);
});

describe('which check a request may be shown', () => {
  test('with an interval, one that is younger', async () => {
    const { sent, clock, get, ok } = createBench(100);
    const first = get();
    await ok(0, 'a');
    clock.nowMs += 99;
    expect(await shown(get())).toBe('a');
    expect(sent).toHaveLength(1);
    clock.nowMs += 1;
    const second = get();
    expect(sent).toHaveLength(2);
    await ok(1, 'b');
    expect([await shown(first), await shown(second)]).toEqual(['a', 'b']);
  });

  test('with 0, none that was there when it arrived, and none sent in the same millisecond', async () => {
    const { sent, get, ok } = createBench(0);
    void get();
    await ok(0, 'a');
    void get();
    expect(sent).toHaveLength(2);
  });

  test('one that was sent after it arrived', async () => {
    const { ledger, sent, clock, get, ok } = createBench(0);
    const arrivedAtMs = clock.nowMs;
    clock.nowMs += 1;
    void get();
    await ok(0, 'a');
    expect(await shown(ledger.get('branches', { arrivedAtMs, asker: asker() }))).toBe('a');
    expect(sent).toHaveLength(1);
  });

  test('none that is of a time to come, where the clock was set back since the request arrived', async () => {
    const { ledger, sent, clock, get, ok } = createBench(100);
    void get();
    await ok(0, 'a');
    clock.nowMs -= 500;
    void ledger.get('branches', { arrivedAtMs: clock.nowMs + 501, asker: asker() });
    expect(sent).toHaveLength(2);
  });

  test('a failed one is never "unchanged": what was known is not shown, and the next one asks again', async () => {
    const { sent, kept, clock, get, ok } = createBench(100);
    void get();
    await ok(0, 'a');
    clock.nowMs += 200;
    const failing = get();
    await sent[1]!.answer(DOWN);
    expect(await shown(failing)).toBe('unavailable');
    void get();
    expect(sent).toHaveLength(3);
    expect(kept).toHaveLength(1);
  });
});

describe('several at once', () => {
  test('a check that hangs does not hold up the next', async () => {
    const { get, ok } = createBench();
    const hanging = get();
    const second = get();
    await ok(1, 'b');
    expect(await shown(second)).toBe('b');
    await ok(0, 'a');
    expect(await shown(hanging)).toBe('a');
  });

  test('at most two are under way; who comes then shares the one behind them', async () => {
    const { sent, clock, get, ok } = createBench();
    void get();
    void get();
    clock.nowMs += 5;
    const waiting = [get(), get(), get()];
    expect(sent).toHaveLength(2);
    await ok(0, 'a');
    expect(sent).toHaveLength(3);
    await ok(2, 'c');
    expect(await Promise.all(waiting.map(shown))).toEqual(['c', 'c', 'c']);
    expect(sent).toHaveLength(3);
  });

  test('one that throws lets the waiting one go', async () => {
    const { sent, get, ok } = createBench();
    const first = get();
    first.catch(() => undefined);
    void get();
    const waiting = get();
    await sent[0]!.answer(new Error('broken'));
    await expect(first).rejects.toThrow('broken');
    expect(sent).toHaveLength(3);
    await ok(2, 'c');
    expect(await shown(waiting)).toBe('c');
  });

  test.each([
    DENIED,
    { kind: 'throttled', retryAtMs: 0, answer: DENIED.kind === 'denied' ? DENIED.answer : undefined },
  ])('what a stranger met ($kind) is asked again for oneself', async (failure) => {
    const { sent, get, ok } = createBench();
    void get();
    void get();
    const stranger = get('branches', asker('stranger'));
    const own = asker('own');
    const joined = get('branches', own);
    await ok(0, 'a');
    await sent[2]!.answer(failure as Failure);
    expect(await shown(stranger)).toBe(failure.kind);
    expect(sent[3]!.asker).toBe(own);
    await ok(3, 'd');
    expect(await shown(joined)).toBe('d');
  });

  test('who leaves ends nothing for the others', async () => {
    const { get, ok } = createBench();
    void get();
    void get();
    const leaving = new AbortController();
    const left = get('branches', asker(), leaving.signal);
    const stays = get();
    leaving.abort();
    await expect(left).rejects.toMatchObject({ code: 'aborted' });
    await ok(0, 'a');
    await ok(2, 'c');
    expect(await shown(stays)).toBe('c');
  });

  test('of two answers the one that was sent later counts, whichever came first', async () => {
    const { ledger, kept, clock, get, ok } = createBench();
    void get();
    clock.nowMs += 1;
    void get();
    await ok(1, 'b');
    await ok(0, 'a');
    expect(ledger.latest()?.refs.refs[0]?.oid[0]).toBe('b');
    expect(kept).toHaveLength(1);
  });
});

describe('scopes', () => {
  test('all answers for branches, branches not for all', async () => {
    const { sent, clock, get, ok } = createBench(100);
    void get('branches');
    await ok(0, 'a');
    void get('all');
    expect(sent.map((one) => one.scope)).toEqual(['branches', 'all']);
    clock.nowMs += 50;
    await ok(1, 'b');
    clock.nowMs += 49;
    expect(await shown(get('branches'))).toBe('a');
    clock.nowMs += 1;
    expect(sent).toHaveLength(2);
  });

  test('the younger of both is the latest', async () => {
    const { ledger, clock, get, ok } = createBench(100);
    void get('branches');
    await ok(0, 'a');
    clock.nowMs += 10;
    void get('all');
    await ok(1, 'b');
    expect(ledger.latest('branches')?.refs.refs[0]?.oid[0]).toBe('b');
    ledger.note({ scope: 'all', refs: refsNamed('c'), sentAtMs: clock.nowMs - 5 }, asker());
    expect(ledger.latest('all')?.refs.refs[0]?.oid[0]).toBe('b');
    ledger.note({ scope: 'all', refs: refsNamed('d'), sentAtMs: clock.nowMs + 5 }, asker());
    expect(ledger.latest('branches')?.refs.refs[0]?.oid[0]).toBe('d');
  });
});

test('after a push only checks that are sent later count', async () => {
  const { ledger, sent, clock, get, ok } = createBench(100);
  void get();
  await ok(0, 'a');
  ledger.forget();
  const inSameMillisecond = get();
  expect(sent).toHaveLength(2);
  await ok(1, 'b');
  expect(await shown(inSameMillisecond)).toBe('b');
  clock.nowMs += 1;
  void get();
  expect(sent).toHaveLength(3);
  await ok(2, 'c');
  expect(await shown(get())).toBe('c');
  expect(sent).toHaveLength(3);
});

test('what an earlier process knew counts until something is learned', async () => {
  const { ledger, sent, clock, get, ok } = createBench(100);
  ledger.restore({ scope: 'branches', refs: refsNamed('a'), sentAtMs: clock.nowMs - 99 });
  expect(await shown(get())).toBe('a');
  clock.nowMs += 1;
  void get();
  await ok(0, 'b');
  ledger.restore({ scope: 'branches', refs: refsNamed('a'), sentAtMs: clock.nowMs });
  expect(await shown(get())).toBe('b');
  expect(sent).toHaveLength(1);
});
