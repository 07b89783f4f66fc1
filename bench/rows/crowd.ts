/**
 * 64 clients at once: each shape by itself, then all of them mixed. None may fail, memory stays within its bound.
 *
 * Where they are mixed each shape has a client process of its own: one that read them all would leave most of its time, and the
 * larger receive windows, to those connections that bring most, which git's clients, each a process, do not do to each other.
 */
import type { Question } from '../children/reading-client.ts';
import type { Goal, Row, Sample } from '../support/row.ts';
import { questionOf, type ShapeName } from '../support/shapes.ts';
import { withHotpack, type Ask } from '../support/sides.ts';
import { filledStage, type Stage } from '../support/stage.ts';

const CLIENTS = 64;
const BUDGET_BYTES = 512 * 2 ** 20;
const BESIDE_BUDGET_BYTES = 150e6;
const SHAPES: readonly ShapeName[] = ['depth-1', 'twenty-commits', 'blobless', 'full'];

export async function crowdRow(bare: Stage): Promise<Row> {
  const stage = await filledStage(bare);
  const questions = SHAPES.map((shape) => questionOf(stage, shape));
  const parts = [...SHAPES, ...SHAPES.map((shape) => `${shape} among others`)];
  return {
    parts: parts.map((part) => `${part}, ${CLIENTS} at once`),
    contestants: [{ name: 'hotpack', run: () => withHotpack(stage, (ask) => askInCrowds(ask, questions)) }],
    goals: parts.flatMap((_, part): readonly Goal[] => [
      { part, what: 'p95Ms', atMost: 3, against: 0, to: { what: 'ms' } },
      { part, what: 'peakBytes', atMost: BUDGET_BYTES + BESIDE_BUDGET_BYTES },
    ]),
  };
}

async function askInCrowds(ask: Ask, questions: readonly Question[]): Promise<readonly Sample[]> {
  const alone: Sample[] = [];
  for (const question of questions) {
    // oxlint-disable-next-line no-await-in-loop -- one crowd after the other
    alone.push(await ask([question], { times: CLIENTS, atOnce: CLIENTS }));
  }
  const share = CLIENTS / questions.length;
  const mixed = await Promise.all(questions.map((question) => ask([question], { times: share, atOnce: share })));
  // What the server used meanwhile was for all of them.
  return [...alone, ...mixed.map((sample) => ({ ...sample, cpuMs: undefined }))];
}
