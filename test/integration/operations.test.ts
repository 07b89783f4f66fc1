import { describe } from 'vitest';
import { STATES } from './operations/operation.ts';
import { playTable } from './operations/play-table.ts';

describe.each(STATES)('%s', (state) => {
  playTable(state);
});
