import { ciOperations } from './rows/ci-operations.ts';
import { cloneOperations } from './rows/clone-operations.ts';
import { fetchOperations } from './rows/fetch-operations.ts';
import type { Operation } from './operation.ts';
import { partialOperations } from './rows/partial-operations.ts';
import { rawOperations } from './rows/raw-operations.ts';

/** The table: every operation, each to be run over every protocol version in every state. */
export const operations: readonly Operation[] = [
  ...cloneOperations,
  ...fetchOperations,
  ...partialOperations,
  ...ciOperations,
  ...rawOperations,
];
