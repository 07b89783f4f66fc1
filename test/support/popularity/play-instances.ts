/**
 * Eight instances over one simulated key-value store for nine days: each counts, flushes, tidies and asks at random moments,
 * some die and are replaced, some are frozen for days in between. At the end the survivors flush, the store is tidied until nothing
 * changes, and what it says is held against what each instance knows.
 */
import { mergeInto, type CountsByInstance, type Counts } from '../../../src/popularity/histogram/counts.ts';
import { addDays, dayOf, startOfDayMs, type Day } from '../../../src/popularity/histogram/day.ts';
import { flushCounts } from '../../../src/popularity/histogram/flush.ts';
import { OwnCounts } from '../../../src/popularity/histogram/own-counts.ts';
import { readDays } from '../../../src/popularity/histogram/read.ts';
import { tidyCounts } from '../../../src/popularity/histogram/tidy.ts';
import type { Kv } from '../../../src/storage/kv/contract.ts';
import { SimulatedKv, type SimulatedClient, type SimulatedKvOptions } from './simulated-kv.ts';
import { seededRandom, VirtualTime } from './virtual-time.ts';

export const FIRST_DAY: Day = '2026-11-01';
const INSTANCES = 8;
const PLAYED_DAYS = 9;
const STEPS = 14;
const REPOS = ['up/a', 'up/b', 'up/c'];
const HOUR_MS = 3_600_000;

export interface PlayOptions extends Pick<SimulatedKvOptions, 'isBad' | 'mutation'> {
  readonly seed: number;
  /** Days before today that the daily reaper keeps. */
  readonly keptDays: number;
}

export interface Played {
  /** What is wrong, in words; empty where everything adds up. */
  readonly problems: readonly string[];
  readonly killed: number;
  readonly flushed: number;
  readonly tidied: number;
}

interface Instance {
  readonly name: string;
  readonly own: OwnCounts;
  readonly kv: SimulatedClient;
  /** What it knows to be written. */
  readonly acknowledged: CountsByInstance;
  /** On which it counted. */
  readonly days: Set<Day>;
  isKilled: boolean;
}

export async function playInstances(options: PlayOptions): Promise<Played> {
  const random = seededRandom(options.seed);
  const time = new VirtualTime(startOfDayMs(FIRST_DAY));
  const store = new SimulatedKv({ time, random, isBad: options.isBad, mutation: options.mutation });
  const now = (): number => time.nowMs;
  const problems: string[] = [];
  const everyone: Instance[] = [];
  const done = { killed: 0, flushed: 0, tidied: 0 };

  function newInstance(): Instance {
    const name = `i${String(everyone.length).padStart(8, '0')}`;
    const made = {
      name,
      own: new OwnCounts({ maxCells: 1_000 }),
      kv: store.client(name),
      acknowledged: new Map(),
      days: new Set<Day>(),
      isKilled: false,
    };
    everyone.push(made);
    return made;
  }

  async function flush(instance: Instance): Promise<void> {
    const before = countsOf(instance);
    await flushCounts({ kv: instance.kv, own: instance.own, instance: instance.name, now });
    for (const [day, counts] of before) mergeInto(instance.acknowledged, day, counts);
    done.flushed++;
  }

  function tidy(kv: Kv): Promise<void> {
    const onEvent = (event: { readonly kind: string }): void => void problems.push(`tidying met ${event.kind}`);
    return tidyCounts(kv, { now, keptDays: options.keptDays, onEvent });
  }

  /** By instance and day, what the store says. */
  async function read(by: string, onMalformed: (key: string) => void): Promise<Map<string, CountsByInstance>> {
    const days = new Map<string, CountsByInstance>();
    const question = { kind: 'clones', from: FIRST_DAY, to: dayOf(now()), onMalformed } as const;
    for await (const { day, counts } of readDays(store.client(by), question)) days.set(day, counts);
    return days;
  }

  async function ask(): Promise<void> {
    const days = await read('query', (key) => problems.push(`a query met a malformed ${key}`));
    for (const [day, counts] of days) {
      for (const [name, one] of counts) {
        const instance = everyone.find((other) => other.name === name);
        const known = instance?.own.counts('clones', day) ?? new Map<string, Map<string, number>>();
        eachCell(one, (repo, count) => {
          if (count > (known.get(repo)?.get('clones') ?? 0))
            problems.push(`${day} ${name} ${repo}: ${count} is too much`);
        });
      }
    }
  }

  async function live(slot: number): Promise<void> {
    let instance = newInstance();
    const isFrozenSometimes = slot % 3 === 0;
    for (let step = 0; step < STEPS; step++) {
      const average = (PLAYED_DAYS * 24 * HOUR_MS) / STEPS;
      await time.sleep(random() * 2 * average * (isFrozenSometimes && random() < 0.2 ? 4 : 1));
      const counted = 1 + Math.floor(random() * 3);
      for (let n = 0; n < counted; n++) {
        const repo = REPOS[Math.floor(random() * REPOS.length)] as string;
        const day = dayOf(now());
        instance.days.add(day);
        instance.own.add({ kind: 'clones', day, repo, field: 'clones' }, 1);
      }
      const dice = random();
      if (dice < 0.08) {
        // It may be in the middle of anything.
        const unended = [flush(instance), tidy(instance.kv)];
        for (const one of unended) one.catch(() => undefined);
        await time.sleep(random() ** 3 * HOUR_MS);
        instance.kv.kill();
        instance.isKilled = true;
        done.killed++;
        instance = newInstance();
      } else if (dice < 0.6) {
        await flush(instance).catch(() => undefined);
      } else if (dice < 0.85) {
        await tidy(instance.kv).then(
          () => done.tidied++,
          () => undefined,
        );
      } else {
        await ask();
      }
    }
    for (let isWritten = false; !isWritten;) {
      isWritten = await flush(instance).then(
        () => true,
        () => false,
      );
    }
  }

  await time.run(Promise.all(Array.from({ length: INSTANCES }, (_, slot) => live(slot))));
  // Whatever was on its way has arrived, and every day is closed.
  store.isBad = false;
  await time.run(time.sleep(5 * 24 * HOUR_MS));
  const tidier = store.client('tidier');
  let oldest = '';
  for (let pass = 0; pass < 4; pass++) {
    oldest = addDays(dayOf(now()), -options.keptDays);
    // oxlint-disable-next-line no-await-in-loop -- what one pass records, a later one deletes
    await time.run(tidy(tidier));
  }
  const said = await time.run(read('query', (key) => problems.push(`malformed at the end: ${key}`)));

  for (const instance of everyone) {
    const acknowledged = instance.acknowledged;
    for (const [day, counts] of countsOf(instance)) {
      eachCell(counts, (repo, counted) => {
        const stored = said.get(day)?.get(instance.name)?.get(repo)?.get('clones') ?? 0;
        const where = `${day} ${instance.name}${instance.isKilled ? ' (killed)' : ''} ${repo}`;
        const atLeast = instance.isKilled ? (acknowledged.get(day)?.get(repo)?.get('clones') ?? 0) : counted;
        if (day < oldest) {
          if (stored > 0) problems.push(`${where}: was not reaped`);
        } else if (stored < atLeast || stored > counted) {
          problems.push(`${where}: ${stored} instead of ${atLeast} to ${counted}`);
        }
      });
    }
  }
  const queryWrites = store.writes.filter(({ by }) => by === 'query');
  for (const { operation, key } of queryWrites) problems.push(`a query did ${operation} ${key}`);
  const days = store.keys.map((key) => key.split(':')[2]);
  if (new Set(days).size !== days.length) problems.push(`a closed day has several keys: ${store.keys.join(' ')}`);
  return { problems, ...done };
}

/** Plays seeds 1 to `seeds`; every problem with its seed. */
export async function playSeeds(
  seeds: number,
  options: Omit<PlayOptions, 'seed'>,
): Promise<{ readonly problems: readonly string[]; readonly killed: number }> {
  const problems: string[] = [];
  let killed = 0;
  for (let seed = 1; seed <= seeds; seed++) {
    // oxlint-disable-next-line no-await-in-loop -- each has a time of its own
    const played = await playInstances({ seed, ...options });
    killed += played.killed;
    for (const problem of played.problems) problems.push(`seed ${seed}: ${problem}`);
  }
  return { problems, killed };
}

/** By day. */
function countsOf(instance: Instance): Map<Day, Counts> {
  return new Map([...instance.days].map((day) => [day, instance.own.counts('clones', day)]));
}

function eachCell(counts: Counts, use: (repo: string, count: number) => void): void {
  for (const [repo, fields] of counts) for (const count of fields.values()) use(repo, count);
}
