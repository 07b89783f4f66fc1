/**
 * 10,000 pushes to a repository of their own, each taken over by the mirror before the next one comes: how many packs there are at
 * most at any moment, and how many bytes merging writes for those that were pushed. What is counted comes out the same each
 * time, or nearly, so it is played once for all rounds.
 */
import { join } from 'node:path';
import type { PlayedPushes } from '../../test/unit/mirror/maintenance/play-pushes.ts';
import type { Row, Sample } from '../support/row.ts';
import type { Stage } from '../support/stage.ts';
import type { Workplace } from '../support/workplace.ts';

const PUSHES = 10_000;
const MOST_PACKS = 20;
const CHILD = join(import.meta.dirname, '../children/pushes.ts');

let played: Promise<readonly Sample[]> | undefined;

export async function pushesRow({ place }: Stage): Promise<Row> {
  return {
    parts: ['packs at any moment', 'bytes rewritten', 'bytes pushed, times log2 of the pushes'],
    contestants: [{ name: `a mirror of ${PUSHES} pushes`, run: () => (played ??= play(place)) }],
    goals: [
      { part: 0, what: 'packs', atMost: MOST_PACKS },
      { part: 1, what: 'bytes', atMost: 1, against: 0, to: { part: 2 } },
    ],
  };
}

async function play(place: Workplace): Promise<readonly Sample[]> {
  const { ms, stdout } = await place.run(process.execPath, [CHILD, String(PUSHES)], {});
  const counted = JSON.parse(stdout) as PlayedPushes;
  const allowed = Math.round(counted.pushedBytes * Math.log2(counted.publications));
  return [
    { ms, packs: counted.mostPacks },
    { ms, bytes: counted.rewritten },
    { ms, bytes: allowed },
  ];
}
