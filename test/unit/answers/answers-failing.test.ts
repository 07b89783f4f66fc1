import { describe, expect, test, vi } from 'vitest';
import type { Failure } from '../../../src/upstream/contract.ts';
import {
  asking,
  chunk,
  createBench,
  DATA,
  DENIED,
  follower,
  never,
  numbers,
  PACKET,
  readAll,
  Source,
  turns,
} from './support.ts';

describe('failing', () => {
  test('a stream that is cut fails for everyone, after its last packet, is not joined and not stored', async () => {
    const { answers, stored } = createBench();
    const source = new Source();
    source.costUs = 1e6;
    const ask = asking('k', source.make);
    const both = [await answers.join(ask), await answers.join(ask)].map(follower);
    source.give(chunk(1), new Error('cut'));
    await turns();
    for (const one of both) {
      const chunks = one.chunks(never);
      expect((await chunks.next()).value?.length).toBe(DATA);
      await expect(chunks.next()).rejects.toThrow('cut');
    }
    await turns();
    expect(await stored()).toEqual([]);
    const second = new Source();
    const again = asking('k', second.make);
    const joined = await Promise.all([answers.join(again), answers.join(again)]);
    expect(second.signals).toHaveLength(1);
    joined.forEach((one) => follower(one).leave());
  });

  test('a full disk: those who follow are served on, at the pace of the slowest; nobody joins, nothing is stored', async () => {
    const { answers, failures, spools, stored } = createBench({ memoryBytes: 6 * PACKET });
    const source = new Source();
    const ask = asking('k', source.make);
    const slow = follower(await answers.join(ask)).chunks(never);
    const fast = readAll(follower(await answers.join(ask)));
    source.give(...numbers(6).map((n) => chunk(n)));
    await turns();
    spools[0]!.write = () => Promise.reject(new Error('full'));
    source.give(...numbers(20, 7).map((n) => chunk(n)), 'end');
    await turns();
    expect(failures).toHaveLength(1);
    expect(source.pulled).toBeLessThan(13);
    const other = new Source();
    const joined = await answers.join(asking('k', other.make));
    expect(joined.kind === 'following' && joined.began).toBe(true);
    follower(joined).leave();
    const seen: number[] = [];
    for await (const part of slow) if (seen.at(-1) !== part[0]) seen.push(part[0] as number);
    expect(seen).toEqual(numbers(26));
    expect((await fast).bytes).toBe(26 * DATA);
    expect(source.pulled).toBe(26);
    expect(await stored()).toEqual([]);
  });

  test('a store that takes nothing is not waited for', async () => {
    const { answers, failures, spools } = createBench({ memoryBytes: 4 * PACKET });
    const source = new Source();
    source.costUs = 1e6;
    const reading = readAll(follower(await answers.join(asking('k', source.make))));
    await turns();
    spools[0]!.write = () => new Promise(() => undefined);
    source.give(...numbers(30).map((n) => chunk(n)), 'end');
    expect((await reading).bytes).toBe(30 * DATA);
    expect(failures).toHaveLength(1);
  });

  test('a close while a full disk holds the making back ends', async () => {
    const { answers, spools } = createBench({ memoryBytes: 2 * PACKET });
    const source = new Source();
    source.costUs = 1e6;
    const stalled = follower(await answers.join(asking('k', source.make)));
    await turns();
    spools[0]!.write = () => Promise.reject(new Error('full'));
    source.give(...numbers(4).map((n) => chunk(n)));
    await turns();
    await answers.close();
    await expect(readAll(stalled)).rejects.toMatchObject({ code: 'shutting_down' });
  });

  test('a no to somebody else is asked again by each who waited; another failure is everyone’s', async () => {
    const { answers } = createBench();
    const gate = Promise.withResolvers<Failure>();
    const first = answers.join(asking('k', () => gate.promise));
    const [one, two] = [new Source(), new Source()];
    const waiting = [answers.join(asking('k', one.make)), answers.join(asking('k', two.make))];
    gate.resolve(DENIED);
    expect(await first).toBe(DENIED);
    const joined = await Promise.all(waiting);
    expect([one.signals.length, two.signals.length]).toEqual([1, 1]);
    joined.forEach((each) => follower(each).leave());
    const down: Failure = { kind: 'unavailable', reason: 'network', message: 'x', retryAtMs: 0 };
    const other = new Source();
    const both = [answers.join(asking('d', async () => down)), answers.join(asking('d', other.make))];
    expect(await Promise.all(both)).toEqual([down, down]);
    expect(other.signals).toEqual([]);
    await answers.close();
  });

  test('an opening that failed is begun anew once for all who waited', async () => {
    const { answers } = createBench();
    const gate = Promise.withResolvers<never>();
    const first = answers.join(asking('k', () => gate.promise));
    const second = new Source();
    const waiting = [1, 2, 3].map(() => answers.join(asking('k', second.make)));
    gate.reject(new Error('broken'));
    await expect(first).rejects.toThrow('broken');
    for (const one of await Promise.all(waiting)) follower(one).leave();
    expect(second.signals).toHaveLength(1);
  });

  test('a store that opens no spool costs nobody his answer', async () => {
    const { answers, storage, failures } = createBench();
    storage.openWriter = () => Promise.reject(new Error('full'));
    const source = new Source().give(...numbers(20).map((n) => chunk(n)), 'end');
    source.costUs = 1e6;
    const reading = readAll(follower(await answers.join(asking('k', source.make))));
    expect((await reading).bytes).toBe(20 * DATA);
    expect(failures).toHaveLength(1);
  });

  test('who rejects an answer leaves those who read it in peace, lets nobody join, and it is not stored', async () => {
    const { answers, stored } = createBench();
    const [source, second] = [new Source(), new Source()];
    source.costUs = 1e6;
    const first = follower(await answers.join(asking('k', source.make)));
    source.give(chunk(1), 'end');
    first.reject();
    const other = follower(await answers.join(asking('k', second.make)));
    expect(second.signals).toHaveLength(1);
    expect((await readAll(first)).bytes).toBe(DATA);
    other.leave();
    await turns();
    expect(await stored()).toEqual([]);
    await answers.close();
  });

  test('one that is rejected after it was stored is removed', async () => {
    const { answers, stored } = createBench();
    const source = new Source().give(chunk(1), 'end');
    source.costUs = 1e6;
    const first = follower(await answers.join(asking('k', source.make)));
    await vi.waitFor(async () => expect(await stored()).toHaveLength(1));
    first.reject();
    await vi.waitFor(async () => expect(await stored()).toEqual([]));
    first.leave();
    expect(await answers.find(asking('k', source.make).question)).toBeUndefined();
  });
});
