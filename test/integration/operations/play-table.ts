import { afterAll, beforeAll, describe, test } from 'vitest';
import type { Protocol } from '../../support/raw-client.ts';
import { operations } from './operations.ts';
import { PROTOCOLS, type Operation, type State } from './operation.ts';
import { Stage } from './stage.ts';

interface Cell {
  readonly name: string;
  readonly operation: Operation;
  readonly protocol: Protocol;
  /** Why the cell cannot run. */
  readonly reason: string | undefined;
}

function cellsOf(state: State): Cell[] {
  return operations.flatMap((operation) =>
    PROTOCOLS.map((protocol) => ({
      name: `${operation.name}, protocol ${protocol}`,
      operation,
      protocol,
      reason: operation.skip?.(protocol, state),
    })),
  );
}

/**
 * Declares a test for every operation × protocol in one state. Cells run at once, as vitest's concurrency allows;
 * those of one state share a server, which is part of the trial.
 */
export function playTable(state: State): void {
  describe.concurrent('operations', () => {
    let stage: Stage;
    beforeAll(async () => {
      stage = await Stage.open(state);
    }, 120_000);
    afterAll(() => stage.close());

    test.for(cellsOf(state))('$name', async ({ operation, protocol, reason }, { expect, skip }) => {
      skip(reason !== undefined, reason);
      const cell = await stage.play(operation, protocol);
      expect(cell.through).toEqual(cell.straight);
      expect(cell.refused).toEqual([]);
      if (state === 'new commit') expect(cell.sent).toBeLessThanOrEqual(cell.fresh);
    });
  });
}
