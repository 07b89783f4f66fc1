/**
 * Repositories whose objects lie in packs of every layout that git makes, and the engine's view of them: what the
 * tests of pack reading and pack writing stand on. git's own `cat-file` says what the objects are.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import { createHash } from 'node:crypto';
import type { RandomAccess } from '../../src/storage/contract.ts';
import type { PackSource } from '../../src/pack/reading/packed-objects.ts';
import { FastImport, type FileChange } from './fast-import.ts';
import { gitEnvironment, gitSync, temporaryFolder } from './git.ts';

export interface KnownObject {
  readonly type: 'commit' | 'tree' | 'blob' | 'tag';
  readonly content: Buffer;
}

/** `git <args>` with bytes in and bytes out. */
export function gitBytes(args: readonly string[], cwd: string, input: string | Uint8Array = ''): Buffer {
  return execFileSync('git', args, {
    cwd,
    env: gitEnvironment(),
    input,
    stdio: ['pipe', 'pipe', 'pipe'],
    maxBuffer: 1 << 30,
  });
}

export function emptyRepository(purpose: string): string {
  const folder = join(temporaryFolder(purpose), 'r.git');
  gitSync(['init', '-q', '--bare', '-b', 'main', folder]);
  return folder;
}

function lines(seed: string, count: number): string {
  let text = '';
  for (let i = 0; i < count; i++) text += `${seed} ${i} ${createHash('md5').update(`${seed}${i}`).digest('hex')}\n`;
  return text;
}

/** `commits` commits on top of what `ref` is: files that change a little each time, folders, tags, a blob of 90 KB of noise. */
export function addHistory(folder: string, options: { readonly commits: number; readonly start?: number }): void {
  const { commits, start = 0 } = options;
  const stream = new FastImport(1_600_000_000 + start * 60);
  const base = lines('base', 60).split('\n');
  for (let n = start; n < start + commits; n++) {
    const changed = [...base];
    changed[n % 50] = `changed in ${n} ${createHash('sha1').update(String(n)).digest('hex')}`;
    base[(n * 7) % 50] = `kept from ${n}`;
    const changes: FileChange[] = [
      { path: 'src/deep/main.txt', data: changed.join('\n') },
      { path: `src/file-${n % 9}.txt`, data: lines(`file ${n}`, 3) },
    ];
    if (n === 0) changes.push({ path: 'empty', data: '' });
    if (n % 40 === 0) {
      const noise = Buffer.concat(
        Array.from({ length: 1400 }, (_, i) => createHash('sha512').update(`${n}/${i}`).digest()),
      );
      changes.push({ path: `noise-${n}.bin`, data: noise });
    }
    const mark = stream.commit({
      ref: 'refs/heads/main',
      message: `commit ${n}\n`,
      changes,
      ...(n === start && start > 0 ? { from: 'refs/heads/main^0' } : {}),
    });
    if (n % 25 === 0) stream.tag(`v${n}`, mark, `version ${n}\n`);
  }
  stream.run(folder);
}

/** A repository for each way in which packs come to lie there. Every object of each is in a pack. */
export const PACK_LAYOUTS: Readonly<Record<string, (folder: string) => void>> = {
  'one pack': (folder) => {
    addHistory(folder, { commits: 100 });
    gitSync(['repack', '-adfq', '--depth=50', '--window=10'], { cwd: folder });
  },
  'long chains': (folder) => {
    addHistory(folder, { commits: 400 });
    gitSync(['repack', '-adfq', '--depth=4000', '--window=500'], { cwd: folder });
  },
  'several packs with duplicates': (folder) => {
    addHistory(folder, { commits: 40 });
    gitSync(['repack', '-adq'], { cwd: folder });
    const first = gitSync(['rev-parse', 'main'], { cwd: folder });
    addHistory(folder, { commits: 40, start: 40 });
    gitSync(['repack', '-dq'], { cwd: folder });
    // All of the history again, and the first half again, beside the packs that are there.
    const prefix = join(folder, 'objects/pack/pack');
    gitSync(['pack-objects', '-q', '--revs', '--delta-base-offset', '--window=20', prefix], {
      cwd: folder,
      input: 'main\n',
    });
    gitSync(['pack-objects', '-q', '--revs', prefix], { cwd: folder, input: first });
  },
  'bases by name': (folder) => {
    addHistory(folder, { commits: 80 });
    gitSync(['-c', 'repack.useDeltaBaseOffset=false', 'repack', '-adfq', '--depth=50'], { cwd: folder });
  },
  'completed thin packs': (folder) => {
    const origin = emptyRepository('origin');
    let before = '';
    for (let start = 0; start < 90; start += 30) {
      addHistory(origin, { commits: 30, start });
      const thin = gitBytes(
        ['pack-objects', '-q', '--stdout', '--revs', '--thin', ...(start === 30 ? [] : ['--delta-base-offset'])],
        origin,
        `${gitSync(['for-each-ref', '--format=%(objectname)'], { cwd: origin })}${before}`,
      );
      gitBytes(['index-pack', '--stdin', '--fix-thin', '--rev-index'], folder, thin);
      before = `^${gitSync(['rev-parse', 'main'], { cwd: origin })}`;
    }
  },
};

/** The packs of a repository in the order of their names, by `RandomAccess` over their bytes. */
export function packSources(folder: string): PackSource[] {
  const packs = join(folder, 'objects/pack');
  return readdirSync(packs)
    .filter((name) => name.endsWith('.pack'))
    .sort()
    .map((file) => {
      const name = file.slice(0, -'.pack'.length);
      const files = readdirSync(packs);
      return {
        name,
        pack: bytesAccess(readFileSync(join(packs, file))),
        idx: new Uint8Array(readFileSync(join(packs, `${name}.idx`))),
        rev: files.includes(`${name}.rev`) ? new Uint8Array(readFileSync(join(packs, `${name}.rev`))) : undefined,
      };
    });
}

/** Bytes in memory as a medium that answers a turn later, checks its arguments and hands out copies. */
export function bytesAccess(bytes: Uint8Array): RandomAccess {
  return {
    bytes: bytes.length,
    async read(offset, length) {
      await Promise.resolve();
      if (offset < 0 || length < 0 || offset + length > bytes.length) {
        throw new RangeError(`read of ${length} at ${offset} beyond ${bytes.length}`);
      }
      return new Uint8Array(bytes.subarray(offset, offset + length));
    },
  };
}

/** Every object of the repository as git itself reads it. */
export function knownObjects(folder: string): Map<string, KnownObject> {
  const all = gitBytes(['cat-file', '--batch', '--batch-all-objects', '--buffer'], folder);
  const known = new Map<string, KnownObject>();
  for (let at = 0; at < all.length;) {
    const end = all.indexOf(10, at);
    const [oid, type, bytes] = all.toString('latin1', at, end).split(' ') as [string, KnownObject['type'], string];
    const content = all.subarray(end + 1, end + 1 + Number(bytes));
    known.set(oid, { type, content });
    at = end + 2 + Number(bytes);
  }
  return known;
}

/** Writes `pack` into a new repository's pack folder, indexed by git, and gives the packs' sources. */
export function indexedByGit(pack: Uint8Array): PackSource[] {
  const folder = emptyRepository('indexed');
  const packs = join(folder, 'objects/pack');
  mkdirSync(packs, { recursive: true });
  writeFileSync(join(packs, 'pack-made.pack'), pack);
  gitBytes(['index-pack', '--rev-index', join(packs, 'pack-made.pack')], folder);
  return packSources(folder);
}

/** A pack of one blob and `depth` ofs-deltas, each on the one before and with other last 4 bytes; with what they make. */
export function deepChain(depth: number): { readonly pack: Buffer; readonly contents: Buffer[] } {
  const head = Buffer.from('PACK\0\0\0\x02\0\0\0\0', 'latin1');
  head.writeUInt32BE(depth + 1, 8);
  const parts: Buffer[] = [head];
  let content = Buffer.from('the bottom of the chain\n');
  const contents = [content];
  const first = deflateSync(content);
  parts.push(Buffer.from([0x30 | 0x80 | (content.length & 15), content.length >> 4]), first);
  let distance = 2 + first.length;
  for (let n = 1; n <= depth; n++) {
    const addition = Buffer.alloc(4);
    addition.writeUInt32BE(n);
    const delta = Buffer.concat([
      sizeVarint(content.length),
      sizeVarint(content.length),
      Buffer.from([0x90, content.length - 4, 4]),
      addition,
    ]);
    const entry = Buffer.concat([Buffer.from([0x60 | delta.length]), offsetVarint(distance), deflateSync(delta)]);
    parts.push(entry);
    distance = entry.length;
    content = Buffer.concat([content.subarray(0, -4), addition]);
    contents.push(content);
  }
  const body = Buffer.concat(parts);
  return { pack: Buffer.concat([body, createHash('sha1').update(body).digest()]), contents };
}

function sizeVarint(value: number): Buffer {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>= 7) {
    if (rest < 128) return Buffer.from([...bytes, rest]);
    bytes.push((rest & 127) | 128);
  }
}

function offsetVarint(value: number): Buffer {
  const bytes = [value & 127];
  for (let rest = value >> 7; rest > 0; rest >>= 7) bytes.unshift((--rest & 127) | 128);
  return Buffer.from(bytes);
}

export function blobOid(content: Uint8Array): string {
  return createHash('sha1').update(`blob ${content.length}\0`).update(content).digest('hex');
}
