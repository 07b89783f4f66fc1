import { afterAll, beforeAll, describe, test } from 'vitest';
import type { Protocol } from '../../support/raw-client.ts';
import { operations } from './operations.ts';
import { PROTOCOLS, type Operation, type State } from './operation.ts';
import { Stage } from './stage.ts';
import type { startHotpack } from '../../support/hotpack.ts';

interface Cell {
  readonly name: string;
  readonly operation: Operation;
  readonly protocol: Protocol;
  /** Why the cell cannot run. */
  readonly reason: string | undefined;
}

/** What is played, and on what; default: everything, on Node over a folder. */
export interface Trial {
  readonly cells?: readonly { readonly name: string; readonly protocols: readonly Protocol[] }[];
  readonly start?: typeof startHotpack;
  /** False where upstream sends a client what is not here, and not only what is new. */
  readonly asksForNewAlone?: boolean;
}

function cellsOf(state: State, chosen: Trial['cells']): Cell[] {
  return operations.flatMap((operation) =>
    protocolsOf(operation.name, chosen).map((protocol) => ({
      name: `${operation.name}, protocol ${protocol}`,
      operation,
      protocol,
      reason: operation.skip?.(protocol, state),
    })),
  );
}

function protocolsOf(name: string, chosen: Trial['cells']): readonly Protocol[] {
  return chosen === undefined ? PROTOCOLS : (chosen.find((cell) => cell.name === name)?.protocols ?? []);
}

/**
 * Declares a test for every operation × protocol in one state. Cells run at once, as vitest's concurrency allows;
 * those of one state share a server, which is part of the trial.
 */
export function playTable(state: State, trial: Trial = {}): void {
  const { cells: chosen, start, asksForNewAlone = true } = trial;
  describe.concurrent('operations', () => {
    let stage: Stage;
    beforeAll(async () => {
      stage = await Stage.open(state, start, chosen === undefined ? undefined : ['rich', 'rich-older']);
    }, 120_000);
    afterAll(() => stage.close());

    test.for(cellsOf(state, chosen))('$name', async ({ operation, protocol, reason }, { expect, skip }) => {
      skip(reason !== undefined, reason);
      const cell = await stage.play(operation, protocol);
      expect(cell.through).toEqual(cell.straight);
      expect(cell.refused).toEqual([]);
      if (state === 'new commit' && asksForNewAlone) expect(cell.sent).toBeLessThanOrEqual(cell.fresh);
    });
  });
}
