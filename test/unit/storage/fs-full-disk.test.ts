import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { canMount, onSmallDisk, smallDisk } from '../../support/small-disk.ts';

/** What one of the test's programs prints, run on a disk that is soon full. */
function printed(program: string, args: string, size?: string): unknown {
  const path = join(import.meta.dirname, '../../support', program);
  return JSON.parse(execFileSync(...onSmallDisk(`'${process.execPath}' '${path}' ${args}`, size)).toString());
}

// Skipped where the system lets no user mount a small disk.
describe.skipIf(!canMount)('on a full disk', () => {
  it('fs storage says so with the cause, and goes on when there is room', () => {
    expect(printed('storage-on-full-disk.ts', `'${smallDisk}/store'`)).toEqual({
      writing: 'storage_unavailable ENOSPC',
      whileFull: 'storage_unavailable ENOSPC',
      afterAbort: 'ok',
      keys: ['small'],
      names: ['small', 'tmp'],
    });
  });

  it('blocks of a bucket are kept as many as there is room for, the youngest ones, and none is wrong', () => {
    const { kept, wrong } = printed('blocks-process.ts', `fill '${smallDisk}/blocks' 30`, '8m') as {
      readonly kept: readonly number[];
      readonly wrong: number;
    };
    expect(wrong).toBe(0);
    expect(kept.length).toBeGreaterThanOrEqual(4);
    expect(kept.length).toBeLessThan(8);
    expect(kept.at(-1)).toBeGreaterThanOrEqual(28);
    expect(kept[0]).toBeGreaterThan(15);
  });
});
