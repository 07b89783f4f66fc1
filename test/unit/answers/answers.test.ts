import { afterEach, describe, expect, test, vi } from 'vitest';
import type { AnswerQuestion } from '../../../src/answers/answer-key.ts';
import type { Make } from '../../../src/answers/contract.ts';
import type { Follower } from '../../../src/answers/shared-answer.ts';
import { raceSignal } from '../../../src/bytes/abort.ts';
import { giveBack } from '../../../src/bytes/give-back.ts';
import {
  a,
  asking,
  b,
  chunk,
  createBench,
  DATA,
  follower,
  never,
  numbers,
  PACKET,
  readAll,
  readStored,
  Source,
  turns,
} from './support.ts';

afterEach(() => vi.useRealTimers());

describe('sharing', () => {
  test('one making for many; a late one gets it from the first byte', async () => {
    const { answers } = createBench();
    const source = new Source();
    const ask = asking('k', source.make);
    const joined = await Promise.all([answers.join(ask), answers.join(ask), answers.join(ask)]);
    expect(joined.map((one) => one.kind === 'following' && one.began)).toEqual([true, false, false]);
    const reading = joined.map((one) => readAll(follower(one)));
    source.give(...numbers(9).map((n) => chunk(n)));
    await turns();
    const late = readAll(follower(await answers.join(ask)));
    source.give(chunk(10, 5), 'end');
    for (const one of [...reading, late]) {
      expect(await one).toEqual({ seen: numbers(10), bytes: 9 * DATA + 5 });
    }
    expect(source.signals).toHaveLength(1);
    expect(source.ended).toBe(1);
    await answers.close();
  });

  test('one that stalls holds up neither the others nor the making', async () => {
    const { answers } = createBench();
    const source = new Source();
    const ask = asking('k', source.make);
    const stalled = follower(await answers.join(ask)).chunks(never);
    const other = readAll(follower(await answers.join(ask)));
    source.give(chunk(1));
    expect((await stalled.next()).value?.[0]).toBe(1);
    source.give(...numbers(40, 2).map((n) => chunk(n)), 'end');
    expect((await other).bytes).toBe(41 * DATA);
    expect(source.pulled).toBe(41);
    let rest = 0;
    for await (const part of stalled) rest += part.length;
    expect(rest).toBe(40 * DATA);
    await answers.close();
  });

  test('alone and not to be stored: it is made no faster than it is read, and nothing is written', async () => {
    const { answers, spools } = createBench();
    const source = new Source().give(...numbers(40).map((n) => chunk(n)), 'end');
    const packets = follower(await answers.join(asking('k', source.make))).packets(never);
    await packets.next();
    await turns();
    expect(source.pulled).toBeLessThan(8);
    let bytes = 0;
    for await (const part of packets) bytes += part.length;
    expect(bytes).toBe(39 * PACKET);
    expect(spools).toEqual([]);
    await answers.close();
  });

  /** Reads packets as who sends them and gives their memory back; how many could be given back, and how many there were. */
  async function readAndGiveBack(one: Follower): Promise<{ readonly freed: number; readonly runs: number }> {
    let [freed, runs] = [0, 0];
    for await (const part of one.packets(never)) {
      runs++;
      giveBack(part);
      if (part.length === 0) freed++;
    }
    return { freed, runs };
  }

  test('alone and not to be stored: what was sent is not waited for by a collector', async () => {
    const { answers, spools } = createBench();
    const source = new Source().give(...numbers(40).map((n) => chunk(n)), 'end');
    const { freed, runs } = await readAndGiveBack(follower(await answers.join(asking('k', source.make))));
    expect(runs).toBe(40);
    // But for those that memory still held for others who might have come.
    expect(freed).toBeGreaterThanOrEqual(30);
    expect(spools).toEqual([]);
    await answers.close();
  });

  test('what is being stored cannot be given back by who reads it', async () => {
    const { answers } = createBench();
    const source = new Source();
    source.costUs = 1_000_000;
    const ask = asking('k', source.make);
    const reading = readAndGiveBack(follower(await answers.join(ask)));
    source.give(...numbers(40).map((n) => chunk(n)), 'end');
    expect((await reading).freed).toBe(0);
    await vi.waitFor(async () => expect(await readStored(answers, ask.question)).toBe(40 * DATA));
    await answers.close();
  });

  test('what others will read cannot be given back by one of them', async () => {
    const { answers } = createBench();
    const source = new Source();
    const ask = asking('k', source.make);
    const [first, second] = [follower(await answers.join(ask)), follower(await answers.join(ask))];
    const reading = readAndGiveBack(first);
    source.give(...numbers(40).map((n) => chunk(n)), 'end');
    expect((await reading).freed).toBe(0);
    expect(await readAll(second)).toEqual({ seen: numbers(40), bytes: 40 * DATA });
    await answers.close();
  });

  test('who comes when the first packet is gone has it made anew, and that one is stored', async () => {
    const { answers, stored } = createBench();
    const [first, second] = [new Source(), new Source()];
    [first.costUs, second.costUs] = [9_000, 9_000];
    const slow = follower(await answers.join(asking('k', first.make))).packets(never);
    first.give(...numbers(12).map((n) => chunk(n)));
    for (let n = 0; n < 10; n++) await slow.next();
    const other = follower(await answers.join(asking('k', second.make)));
    second.give(...numbers(3).map((n) => chunk(n)), 'end');
    expect((await readAll(other)).bytes).toBe(3 * DATA);
    await turns();
    expect(await stored()).toHaveLength(1);
    await answers.close();
  });

  test('progress comes while one follows, and no longer', async () => {
    const { answers } = createBench();
    const source = new Source();
    const one = follower(await answers.join(asking('k', source.make)));
    const two = follower(await answers.join(asking('k', source.make)));
    const heard: string[] = [];
    one.onProgress((text) => heard.push(`1 ${new TextDecoder().decode(text)}`));
    two.onProgress((text) => heard.push(`2 ${new TextDecoder().decode(text)}`));
    source.say('a');
    one.leave();
    source.say('b');
    expect(heard).toEqual(['1 a', '2 a', '2 b']);
    await answers.close();
  });
});

describe('leaving', () => {
  test('of the first and of others ends nothing; of all ends the making, and nothing is stored', async () => {
    const { answers, stored } = createBench();
    const source = new Source();
    source.costUs = 1e6;
    const ask = asking('k', source.make);
    const [first, second, third] = (await Promise.all([1, 2, 3].map(() => answers.join(ask)))).map(follower) as [
      Follower,
      Follower,
      Follower,
    ];
    const leaving = new AbortController();
    const read = readAll(first, leaving.signal);
    source.give(chunk(1));
    await turns();
    leaving.abort();
    await expect(read).rejects.toMatchObject({ code: 'aborted' });
    second.leave();
    await turns();
    expect(source.signals[0]?.aborted).toBe(false);
    source.give(chunk(2));
    third.leave();
    await turns();
    expect(source.signals[0]?.aborted).toBe(true);
    expect(source.ended).toBe(1);
    expect(await stored()).toEqual([]);
    expect(answers.bytes).toBe(0);
  });

  test('of all before the first word ends the making too', async () => {
    const { answers } = createBench();
    let seen: AbortSignal | undefined;
    const make: Make = (signal) => {
      seen = signal;
      return raceSignal(new Promise(() => undefined), signal);
    };
    const [one, two] = [new AbortController(), new AbortController()];
    const joins = [answers.join(asking('k', make), one.signal), answers.join(asking('k', make), two.signal)];
    for (const join of joins) join.catch(() => undefined);
    one.abort();
    await turns();
    expect(seen?.aborted).toBe(false);
    two.abort();
    await expect(joins[1]).rejects.toMatchObject({ code: 'aborted' });
    expect(seen?.aborted).toBe(true);
  });

  test('who follows once more outlives the first', async () => {
    const { answers } = createBench();
    const source = new Source();
    const joined = await answers.join(asking('k', source.make));
    const again = joined.kind === 'following' ? joined.again() : undefined;
    follower(joined).leave();
    source.give(chunk(1), 'end');
    expect(await readAll(again!)).toEqual({ seen: [1], bytes: DATA });
    await answers.close();
  });
});

describe('what is finished', () => {
  test('and cheap lingers in memory, and is stored when a second one asks, not made again', async () => {
    const { answers, stored, spools } = createBench();
    const source = new Source().give(chunk(1, 500), 'end');
    source.costUs = 1_000;
    const ask = asking('k', source.make);
    await readAll(follower(await answers.join(ask)));
    await turns();
    expect([spools.length, await stored()]).toEqual([0, []]);
    expect(await readAll(follower(await answers.join(ask)))).toEqual({ seen: [1], bytes: 500 });
    await vi.waitFor(async () => expect(await readStored(answers, ask.question)).toBe(500));
    expect(source.signals).toHaveLength(1);
    await answers.close();
  });

  test('and dear is stored at once', async () => {
    const { answers } = createBench();
    const source = new Source().give(...numbers(20).map((n) => chunk(n)), 'end');
    source.costUs = 1e6;
    const ask = asking('k', source.make);
    await readAll(follower(await answers.join(ask)));
    await vi.waitFor(async () => expect(await readStored(answers, ask.question)).toBe(20 * DATA));
    const answer = await answers.find(ask.question);
    expect(answer?.header).toMatchObject({ objects: 7, costUs: 1e6, shallow: [a], unshallow: [b] });
    answer?.release();
    await answers.close();
  });

  test('and would cost as much to read again is not stored, however often it is asked for', async () => {
    const { answers, stored } = createBench({ memoryBytes: 2 * PACKET });
    for (let n = 0; n < 3; n++) {
      const source = new Source().give(...numbers(40).map((one) => chunk(one)), 'end');
      source.costUs = 1_000;
      await readAll(follower(await answers.join(asking('k', source.make))));
      await turns();
    }
    expect(await stored()).toEqual([]);
    await answers.close();
  });

  test('and depends on what is not in its name is not stored', async () => {
    const { answers, stored } = createBench();
    const source = new Source().give(chunk(1), 'end');
    source.costUs = 1e6;
    await readAll(follower(await answers.join({ ...asking('k', source.make), alsoDependsOn: 'names' })));
    await turns();
    expect(await stored()).toEqual([]);
    await answers.close();
  });

  test('lingers no longer than it may, starting anew with each who comes', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const { answers } = createBench({ maxBytes: 0 });
    const source = new Source().give(chunk(1), 'end');
    const ask = asking('k', source.make);
    await readAll(follower(await answers.join(ask)));
    await turns();
    vi.advanceTimersByTime(29_999);
    const second = await answers.join(ask);
    expect(await readAll(follower(second))).toEqual({ seen: [1], bytes: DATA });
    await turns();
    vi.advanceTimersByTime(29_999);
    const third = await answers.join(ask);
    expect((await readAll(follower(third))).bytes).toBe(DATA);
    await turns();
    vi.advanceTimersByTime(30_000);
    await turns();
    const other = new Source();
    follower(await answers.join(asking('k', other.make))).leave();
    expect([source.signals.length, other.signals.length]).toEqual([1, 1]);
  });

  test('close fails streams, leaves no timer and nothing half-written, and nothing begins afterwards', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const { answers, stored } = createBench();
    const [one, two] = [new Source().give(chunk(1), 'end'), new Source()];
    two.costUs = 1e6;
    await readAll(follower(await answers.join(asking('a', one.make))));
    const reading = readAll(follower(await answers.join(asking('b', two.make))));
    reading.catch(() => undefined);
    await turns();
    await answers.close();
    await expect(reading).rejects.toMatchObject({ code: 'shutting_down' });
    expect(vi.getTimerCount()).toBe(0);
    expect(await stored()).toEqual([]);
    await expect(answers.join(asking('b', two.make))).rejects.toMatchObject({ code: 'shutting_down' });
  });
});

describe('with tags', () => {
  const [some, other, third] = ['1', '2', '3'].map((digit) => digit.repeat(40)) as [string, string, string];

  test('the variant is found by the tags it was made with, and by others once these were found to add the same', async () => {
    const { answers, storage } = createBench();
    const source = (): Source => {
      const made = new Source().give(chunk(1), 'end');
      made.costUs = 1e6;
      made.variant = third;
      return made;
    };
    const first = source();
    await readAll(follower(await answers.join(asking('k', first.make, { tags: some }))));
    const question = (tags: string): AnswerQuestion => asking('k', first.make, { tags }).question;
    await vi.waitFor(async () => expect(await readStored(answers, question(some))).toBe(DATA));
    expect(await answers.find(question(other))).toBeUndefined();
    const second = source();
    const joined = await answers.join(asking('k', second.make, { tags: other }));
    expect(joined.kind).toBe('stored');
    if (joined.kind === 'stored') joined.answer.release();
    expect([second.signals.length, second.pulled, second.ended]).toEqual([1, 0, 1]);
    expect(await readStored(answers, question(other))).toBe(DATA);
    await answers.close();
    // Another process learns it from the object itself.
    const later = createBench({ storage }).answers;
    await later.load();
    expect(await readStored(later, question(some))).toBe(DATA);
    expect(await later.find(question(other))).toBeUndefined();
  });
});
