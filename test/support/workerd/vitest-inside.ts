/**
 * What test files import from vitest, for a suite that is bundled and runs inside another runtime: cases are gathered as they are
 * described and run one by one, by number. Assertions are vitest's own.
 */
import { chai, GLOBAL_EXPECT, JestAsymmetricMatchers, JestChaiExpect, JestExtend, setState } from '@vitest/expect';

type Work = () => unknown;

interface Group {
  readonly names: readonly string[];
  readonly before: Work[];
  readonly after: Work[];
}

interface Case {
  readonly name: string;
  readonly groups: readonly Group[];
  readonly work: Work;
}

const cases: Case[] = [];
let open: readonly Group[] = [];

export function describe(name: string, work: () => void): void {
  const outer = open;
  open = [...outer, { names: [...(outer.at(-1)?.names ?? []), name], before: [], after: [] }];
  work();
  open = outer;
}

export function beforeEach(work: Work): void {
  open.at(-1)?.before.push(work);
}

export function afterEach(work: Work): void {
  open.at(-1)?.after.push(work);
}

function addCase(name: string, work: Work): void {
  cases.push({ name: [...(open.at(-1)?.names ?? []), name].join(' > '), groups: open, work });
}

function addRows(rows: readonly unknown[]): (name: string, work: (...values: unknown[]) => unknown) => void {
  return (name, work) => {
    for (const [index, row] of rows.entries()) {
      const values = Array.isArray(row) ? row : [row];
      addCase(`${name} (${index + 1}: ${JSON.stringify(row)?.slice(0, 60)})`, () => work(...values));
    }
  };
}

export const it: typeof addCase & { readonly each: typeof addRows } = Object.assign(addCase, { each: addRows });

chai.use(JestExtend);
chai.use(JestChaiExpect);
chai.use(JestAsymmetricMatchers);
export const expect: typeof chai.expect = chai.expect;
(globalThis as Record<symbol, unknown>)[GLOBAL_EXPECT] = expect;
setState({}, expect as never);

export function caseNames(): string[] {
  return cases.map((one) => one.name);
}

/** Rejects with what the case rejects with. */
export async function runCase(index: number): Promise<void> {
  const { groups, work } = cases[index] as Case;
  try {
    for (const group of groups) for (const before of group.before) await before();
    await work();
  } finally {
    for (const group of groups.toReversed()) for (const after of group.after.toReversed()) await after();
  }
}
