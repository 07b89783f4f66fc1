import { afterEach, describe, expect, test } from 'vitest';
import { createClaims, type ClaimAnswer, type Claims } from '../../../src/jobs/claims.ts';
import type { Storage } from '../../../src/storage/contract.ts';
import { openFsStorage } from '../../../src/storage/drivers/fs.ts';
import { createMemoryStorage } from '../../../src/storage/drivers/memory.ts';
import { temporaryFolder } from '../../support/git.ts';
import { createFakeClock, type FakeClock } from './fake-clock.ts';

let storages: Storage[] = [];
afterEach(async () => {
  for (const one of storages) await one.close();
  storages = [];
});

/** Opens the same store once more, as another process would. */
const STORES: Readonly<Record<string, () => () => Promise<Storage>>> = {
  memory: () => {
    const storage = createMemoryStorage();
    return () => Promise.resolve(storage);
  },
  fs: () => {
    const folder = temporaryFolder('claims');
    return () => openFsStorage({ folder });
  },
};

async function instance(open: () => Promise<Storage>, clock: FakeClock, holder: string): Promise<Claims> {
  return createClaims({ storage: await tracked(open, clock), holder, now: clock.now, sleep: clock.sleep });
}

/** Time does not pass while the store works. */
async function tracked(
  open: () => Promise<Storage>,
  clock: FakeClock,
): Promise<Pick<Storage, 'readDocument' | 'replaceDocument' | 'list'>> {
  const storage = await open();
  storages.push(storage);
  return {
    readDocument: (...args) => clock.track(storage.readDocument(...args)),
    replaceDocument: (...args) => clock.track(storage.replaceDocument(...args)),
    list: (...args) => clock.track(storage.list(...args)),
  };
}

async function release(answer: ClaimAnswer, doneAtMs?: number): Promise<void> {
  if (answer.kind !== 'claimed') throw new Error(`it was ${answer.kind}`);
  await answer.claim.release(doneAtMs);
}

describe.each(Object.entries(STORES))('claims over %s', (_, makeStore) => {
  test('of eight that race one wins, and when it lets go the next one', async () => {
    const open = makeStore();
    const clock = createFakeClock();
    const all = await Promise.all(Array.from({ length: 8 }, (__, i) => instance(open, clock, `i${i}`)));
    for (let round = 0; round < 5; round++) {
      const answers = await Promise.all(all.map((one) => one.take('warm/a.git')));
      const winners = answers.filter((one) => one.kind === 'claimed');
      expect(winners).toHaveLength(1);
      expect(answers.filter((one) => one.kind === 'held')).toHaveLength(7);
      await release(winners[0] as ClaimAnswer);
    }
  });

  test('one is held as long as its holder lives, and free a minute after it died', async () => {
    const open = makeStore();
    const clock = createFakeClock();
    const [alive, other] = [await instance(open, clock, 'alive'), await instance(open, clock, 'other')];
    const dead = createFakeClock();
    // Its clock stands still: it renews nothing, as a killed process does not.
    const mortal = createClaims({
      storage: await tracked(open, dead),
      holder: 'mortal',
      now: clock.now,
      sleep: dead.sleep,
    });
    const kept = await alive.take('a');
    await mortal.take('b');
    await clock.advance(59_000);
    expect(await other.take('a')).toEqual({ kind: 'held', holder: 'alive' });
    expect(await other.take('b')).toEqual({ kind: 'held', holder: 'mortal' });
    await clock.advance(1_000);
    const taken = await other.take('b');
    expect(taken.kind).toBe('claimed');
    await clock.advance(3_600_000);
    expect(await other.take('a')).toEqual({ kind: 'held', holder: 'alive' });
    await release(kept);
    const next = await other.take('a');
    await release(next);
    await release(taken);
  });

  test('who waits gets it when its holder has ended or died, and learns soon that one lives', async () => {
    const open = makeStore();
    const clock = createFakeClock();
    const [alive, other] = [await instance(open, clock, 'alive'), await instance(open, clock, 'other')];
    const dead = createFakeClock();
    const mortal = createClaims({
      storage: await tracked(open, dead),
      holder: 'mortal',
      now: clock.now,
      sleep: dead.sleep,
    });
    const startedAtMs = clock.now();
    const ends: string[] = [];
    let waits = 0;
    const take = async (name: string): Promise<void> => {
      const answer = await other.take(name, { notDoneSinceMs: startedAtMs, onWait: () => waits++ });
      ends.push(`${name} ${answer.kind} ${(clock.now() - startedAtMs) / 1000}`);
      if (answer.kind === 'claimed') await answer.claim.release();
    };
    const [ended, done] = [await alive.take('ended'), await alive.take('done')];
    await alive.take('lives');
    await mortal.take('died');
    const all = Promise.all(['ended', 'done', 'lives', 'died', 'free'].map(take));
    await clock.advance(4_500);
    await release(ended);
    await release(done, clock.now());
    await clock.advance(60_000);
    await all;
    // It renews at 20, which may be just after it was looked at.
    const lives = expect.stringMatching(/^lives held 2[01]$/) as string;
    expect(ends.toSorted()).toEqual(['died claimed 60', 'done done 5', 'ended claimed 5', 'free claimed 0', lives]);
    expect(waits).toBe(4);
    const leaving = new AbortController();
    const left = other.take('lives', { onWait: () => waits++, signal: leaving.signal });
    await clock.advance(500);
    leaving.abort();
    await expect(left).rejects.toMatchObject({ code: 'aborted' });
  });

  test('when work was last done outlives its claim, until it is tried again', async () => {
    const open = makeStore();
    const clock = createFakeClock();
    const [one, other] = [await instance(open, clock, 'one'), await instance(open, clock, 'other')];
    expect(await other.doneAtMs('a')).toBeUndefined();
    const first = await one.take('a');
    expect(await other.doneAtMs('a')).toBeUndefined();
    await release(first, clock.now());
    expect(await other.doneAtMs('a')).toBe(clock.now());
    await release(await one.take('a'));
    expect(await other.doneAtMs('a')).toBeUndefined();
  });

  test('all that was ever claimed is named, page after page, and nothing else', async () => {
    const open = makeStore();
    const one = await instance(open, createFakeClock(), 'one');
    const names = ['warm/a.git', 'warm/b/c.git', 'warm/b/d.git'];
    for (const name of ['fill/a.git', ...names]) await release(await one.take(name));
    const storage = await open();
    storages.push(storage);
    await storage.replaceDocument('jobs/warm/gone', new Uint8Array(1), 'absent');
    const small: Storage['list'] = (prefix, page) => storage.list(prefix, { ...page, limit: 2 });
    const paged = createClaims({ storage: { ...storage, list: small }, holder: 'two', now: Date.now });
    const found: string[] = [];
    for await (const name of paged.names('warm/')) found.push(name);
    expect(found).toEqual(names);
  });

  test('work that was done is not done again, but for who wants it younger', async () => {
    const open = makeStore();
    const clock = createFakeClock();
    const [one, other] = [await instance(open, clock, 'one'), await instance(open, clock, 'other')];
    const startedAtMs = clock.now();
    await clock.advance(5_000);
    await release(await one.take('a', { notDoneSinceMs: startedAtMs }), clock.now());
    expect(await other.take('a', { notDoneSinceMs: startedAtMs })).toEqual({ kind: 'done', atMs: startedAtMs + 5_000 });
    await release(await other.take('a', { notDoneSinceMs: clock.now() + 1 }));
    // It was taken and not done: there is nothing to rely on.
    await release(await one.take('a', { notDoneSinceMs: startedAtMs }));
    await release(await one.take('a'));
  });

  test('who was held up for too long loses it, and does not take it back from who has it now', async () => {
    const open = makeStore();
    const clock = createFakeClock();
    const late = createFakeClock();
    const slow = createClaims({
      storage: await tracked(open, late),
      holder: 'slow',
      now: clock.now,
      sleep: late.sleep,
    });
    const other = await instance(open, clock, 'other');
    const lost = await slow.take('a');
    await clock.advance(61_000);
    const taken = await other.take('a');
    // It wakes, renews, and sees that it is another's.
    await late.advance(25_000);
    await release(lost, clock.now());
    expect(await slow.take('a', { notDoneSinceMs: 0 })).toEqual({ kind: 'held', holder: 'other' });
    await release(taken);
  });

  test('a claim from a clock far ahead, and one that is none, hold nobody up', async () => {
    const open = makeStore();
    const clock = createFakeClock();
    const ahead = createClaims({
      storage: await tracked(open, clock),
      holder: 'ahead',
      now: () => clock.now() + 86_400_000,
      sleep: createFakeClock().sleep,
    });
    const other = await instance(open, clock, 'other');
    await ahead.take('a');
    const taken = await other.take('a');
    expect(taken.kind).toBe('claimed');
    await release(taken);
    const storage = await open();
    storages.push(storage);
    await storage.replaceDocument('jobs/claims/b', new TextEncoder().encode('{"holder":7}'), 'absent');
    await release(await other.take('b'));
  });
});

test('a renewal that fails is tried again', async () => {
  const clock = createFakeClock();
  const storage = createMemoryStorage();
  let failures = 0;
  const flaky: Pick<Storage, 'readDocument' | 'replaceDocument' | 'list'> = {
    list: (...args) => storage.list(...args),
    readDocument: (...args) => storage.readDocument(...args),
    replaceDocument: (...args) => {
      if (failures-- > 0) return Promise.reject(new Error('no answer'));
      return storage.replaceDocument(...args);
    },
  };
  const one = createClaims({ storage: flaky, holder: 'one', now: clock.now, sleep: clock.sleep });
  const other = createClaims({ storage, holder: 'other', now: clock.now, sleep: clock.sleep });
  const claim = await one.take('a');
  failures = 1;
  await clock.advance(70_000);
  expect(await other.take('a')).toEqual({ kind: 'held', holder: 'one' });
  await release(claim);
  failures = 1;
  await expect(one.take('a')).rejects.toThrow('no answer');
});
