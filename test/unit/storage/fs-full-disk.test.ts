import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';

const folder = mkdtempSync(join(tmpdir(), 'hotpack-full-'));
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** Runs `command` where `folder` is a disk of 1 MiB that nobody else sees. */
const onSmallDisk = (command: string): [string, string[]] => [
  'unshare',
  ['--map-root-user', '--user', '--mount', 'sh', '-c', `mount -t tmpfs -o size=1m none '${folder}' && ${command}`],
];
const canMount = spawnSync(...onSmallDisk('true')).status === 0;

describe('fs storage on a full disk', () => {
  // Skipped where the system lets no user mount a small disk.
  it.skipIf(!canMount)('says so with the cause, and goes on when there is room', () => {
    const program = join(import.meta.dirname, '../../support/storage-on-full-disk.ts');
    const printed = execFileSync(...onSmallDisk(`'${process.execPath}' '${program}' '${folder}/store'`)).toString();
    expect(JSON.parse(printed)).toEqual({
      writing: 'storage_unavailable ENOSPC',
      whileFull: 'storage_unavailable ENOSPC',
      afterAbort: 'ok',
      keys: ['small'],
      names: ['small', 'tmp'],
    });
  });
});
