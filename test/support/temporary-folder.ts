import { mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';

/** What other tests write is more than memory should hold. */
const SMALL_PROJECTS = ['unit', 'integration'];
/** Where Linux keeps files in memory. */
const IN_MEMORY = '/dev/shm';
const TMPFS = 0x01021994;
const ENOUGH_BYTES = 8 * 2 ** 30;

/**
 * One folder for everything that tests put into the system's temporary folder, gone when they have ended. vitest calls it. In memory
 * where there is plenty of it: tests make and delete so many files that ext4 spends a quarter of the time among those that were
 * deleted lately.
 */
export default function temporaryFolder({ name }: TestProject): () => void {
  const before = process.env['TMPDIR'];
  const inMemory = before === undefined && SMALL_PROJECTS.includes(name) && isPlenty(IN_MEMORY);
  const folder = mkdtempSync(join(inMemory ? IN_MEMORY : tmpdir(), 'hotpack-tests-'));
  process.env['TMPDIR'] = folder;
  return () => {
    if (before === undefined) delete process.env['TMPDIR'];
    else process.env['TMPDIR'] = before;
    // Servers that were told to end may still be writing.
    rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  };
}

function isPlenty(folder: string): boolean {
  try {
    const { type, bsize, bavail } = statfsSync(folder);
    return type === TMPFS && bsize * bavail >= ENOUGH_BYTES;
  } catch {
    return false;
  }
}
