/** What counting one request costs, beside answering it: a depth-1 fetch whose answer is stored. */
import { join } from 'node:path';
import type { Row, Sample } from '../support/row.ts';
import { questionOf } from '../support/shapes.ts';
import { withHotpack } from '../support/sides.ts';
import { filledStage, type Stage } from '../support/stage.ts';

const CHILD = join(import.meta.dirname, '../children/counting.ts');
/** As many as a busy hour has: the first ones, which find cold code, are among them. */
const COUNTED = 20_000;
const ASKED = 50;

export async function countingRow(bare: Stage): Promise<Row> {
  const stage = await filledStage(bare);
  const question = questionOf(stage, 'depth-1');
  return {
    parts: ['one request'],
    contestants: [
      {
        name: 'counting it',
        async run(): Promise<readonly Sample[]> {
          const { stdout } = await stage.place.run(process.execPath, [CHILD, String(COUNTED)]);
          const { cpuMs } = JSON.parse(stdout) as { readonly cpuMs: number };
          return [{ ms: cpuMs, cpuMs }];
        },
      },
      {
        name: 'answering it',
        run: () =>
          withHotpack(stage, async (ask) => {
            await ask([question], { times: 3 });
            return [await ask([question], { times: ASKED })];
          }),
      },
    ],
    goals: [{ part: 0, what: 'cpuMs', atMost: 0.01, against: 1 }],
  };
}
