/** A disk of a given size, seen by one command alone. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Where it is mounted. */
export const smallDisk: string = mkdtempSync(join(tmpdir(), 'hotpack-full-'));

/** What runs `command`, a line for the shell, where `smallDisk` is a disk of `size` (`1m`). */
export function onSmallDisk(command: string, size = '1m'): [string, string[]] {
  const mount = `mount -t tmpfs -o size=${size} none '${smallDisk}'`;
  return ['unshare', ['--map-root-user', '--user', '--mount', 'sh', '-c', `${mount} && ${command}`]];
}

/** False where the system lets no user mount one. */
export const canMount: boolean = spawnSync(...onSmallDisk('true')).status === 0;
