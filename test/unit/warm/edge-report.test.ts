import { expect, test } from 'vitest';
import { createMemoryStorage } from '../../../src/storage/drivers/memory.ts';
import type { WarmStatus } from '../../../src/warm/contract.ts';
import { readReport, writeOutcome, writePass } from '../../../src/warm/edge/report.ts';

const HOUR_MS = 3_600_000;
const result = (repo: string, status: WarmStatus) => ({ repo, path: 'clone', status, ms: 5 }) as const;

test('a pass runs until all that it handed over has ended, or it is overdue', async () => {
  const storage = createMemoryStorage();
  const outcome = (repo: string, status: WarmStatus, endedAtMs: number, askedAtMs: number = 1_000): Promise<void> =>
    writeOutcome(storage, { ...result(repo, status), endedAtMs }, { key: `${repo}.git`, askedAtMs });
  expect(await readReport(storage, 1_000)).toMatchObject({ running: false, startedAtMs: undefined, repos: [] });
  await outcome('up/b', 'error', 900);
  await writePass(storage, { startedAtMs: 1_000, handedOver: [] });
  expect(await readReport(storage, 1_001)).toMatchObject({ running: true, endedAtMs: undefined, outcome: undefined });
  expect(await readReport(storage, 1_000 + HOUR_MS)).toMatchObject({ running: false, outcome: 'aborted' });

  const handedOver = ['up/a.git', 'up/b.git'];
  await writePass(storage, { startedAtMs: 1_000, endedAtMs: 1_100, outcome: 'complete', handedOver });
  await outcome('up/a', 'ok', 3_000);
  // Who finds it done leaves the word of the one that did it.
  await outcome('up/a', 'skipped', 3_500);
  expect(await readReport(storage, 4_000)).toEqual({
    running: true,
    startedAtMs: 1_000,
    endedAtMs: undefined,
    outcome: undefined,
    repos: [result('up/a', 'ok')],
  });
  await outcome('up/b', 'skipped', 2_000);
  expect(await readReport(storage, 4_000)).toEqual({
    running: false,
    startedAtMs: 1_000,
    endedAtMs: 3_000,
    outcome: 'complete',
    repos: [result('up/b', 'skipped'), result('up/a', 'ok')],
  });
});
