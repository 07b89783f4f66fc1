/**
 * What is in the making lies in `DIR/tmp/<host>-<pid>-<nonce>/`, one folder a driver, and is moved from there when whole.
 *
 * When a driver opens it removes what dead processes left. Several processes, containers and machines may share DIR, and
 * nothing of a live one may go: `host` names the machine and the pid namespace, and `nonce` begins with the time at which the
 * process started, so that a pid that was given anew is not taken for its forerunner. A process of this host is dead if no process has that
 * pid and start time; of others nothing is known, so theirs goes when nothing in it has changed for a day, or for an hour where
 * only the pid namespace differs: most often a container that was killed and restarted. (A live one whose file went after all
 * fails to commit; nothing half-written becomes visible.)
 */
import { randomBytes } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { mkdir, readdir, rm, rmdir, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { HotpackError } from '../../../bytes/error.ts';
import { isAbsence } from './fs-error.ts';

export const TEMP_FOLDER = 'tmp';
const ABANDONED_AFTER_MS = 24 * 60 * 60 * 1000;
const ABANDONED_HERE_AFTER_MS = 60 * 60 * 1000;

export interface TempFolder {
  readonly path: string;
  /** A path that nothing lies at and nobody else is given. The folder is there (it is made again if someone removed it). */
  next(): Promise<string>;
  remove(): Promise<void>;
}

/** Removes leavings of others and makes a folder for this driver below `root`. */
export async function openTempFolder(root: string): Promise<TempFolder> {
  const parent = join(root, TEMP_FOLDER);
  await mkdir(parent, { recursive: true });
  await removeLeavings(parent);
  const nonce = `${startOf('self')}.${randomBytes(8).toString('hex')}`;
  const path = join(parent, `${hostIdentity()}-${process.pid}-${nonce}`);
  await mkdir(path, { recursive: true });
  let count = 0;
  return {
    path,
    async next() {
      try {
        await mkdir(path, { recursive: true });
      } catch (error) {
        throw new HotpackError('storage_unavailable', 'no folder for temp files', { detail: { path }, cause: error });
      }
      return join(path, String(++count));
    },
    async remove() {
      await rm(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 10 });
    },
  };
}

async function removeLeavings(parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    const path = join(parent, name);
    try {
      if (isOfDeadProcess(name)) await rm(path, { recursive: true, force: true });
      else await removeAbandoned(path, isOfThisMachine(name) ? ABANDONED_HERE_AFTER_MS : ABANDONED_AFTER_MS);
    } catch (error) {
      // Another opening driver removes the same, or a live process works in it.
      if (!isAbsence(error)) throw error;
    }
  }
}

function isOfDeadProcess(name: string): boolean {
  const [, host, pid, start] = /^(.+)-(\d+)-([^.-]*)\.[0-9a-f]+$/.exec(name) ?? [];
  if (host !== hostIdentity() || pid === undefined) return false;
  try {
    process.kill(Number(pid), 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
  return start !== startOf(pid);
}

function isOfThisMachine(name: string): boolean {
  return name.startsWith(`${machineName()}.`);
}

/** Removes what has not changed for that long, then the folder if that was all. */
async function removeAbandoned(path: string, afterMs: number): Promise<void> {
  const oldest = Date.now() - afterMs;
  const isOld = async (at: string): Promise<boolean> => (await stat(at)).mtimeMs < oldest;
  // Asked first, since removing something from it makes the folder young.
  if (!(await isOld(path))) return;
  for (const name of await readdir(path)) {
    const at = join(path, name);
    if (await isOld(at)) await rm(at, { recursive: true, force: true });
  }
  await rmdir(path).catch(() => undefined);
}

/** The machine's name and, on Linux, the pid namespace: the same pid in two containers is two processes. */
function hostIdentity(): string {
  let namespace = '';
  try {
    namespace = /\d+/.exec(readlinkSync('/proc/self/ns/pid'))?.[0] ?? '';
  } catch {
    // Not Linux: one namespace.
  }
  return `${machineName()}.${namespace}`;
}

function machineName(): string {
  return hostname().replaceAll(/[^A-Za-z0-9.]/g, '_');
}

/** When a process started, in ticks since boot (proc(5), stat field 22); empty where that cannot be known. */
function startOf(pid: string): string {
  try {
    const line = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // Field 2, the command's name, is in parentheses and may hold anything; field 3 follows the last one.
    return line.slice(line.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
}
