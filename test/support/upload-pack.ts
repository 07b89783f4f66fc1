/**
 * Asks `git upload-pack` itself: one fetch of protocol version 2 by pipe, and what came back as sets of names.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { gitEnvironment, gitSync, temporaryFolder } from './git.ts';
import { body, cut, DELIMITER, FLUSH } from './pkt-lines.ts';

export type UploadPackAnswer =
  | {
      readonly kind: 'pack';
      readonly shallow: readonly string[];
      readonly unshallow: readonly string[];
      readonly objects: ReadonlySet<string>;
    }
  | { readonly kind: 'refused'; readonly message: string };

/** Sends `args` (lines of the fetch command, without `done`) to upload-pack of the repository at `folder`. */
export function askUploadPack(folder: string, args: readonly string[]): UploadPackAnswer {
  const input = body([
    'command=fetch',
    'object-format=sha1',
    DELIMITER,
    'ofs-delta',
    'no-progress',
    ...args,
    'done',
    FLUSH,
  ]);
  const run = spawnSync('git', ['upload-pack', '--stateless-rpc', folder], {
    input,
    env: { ...gitEnvironment(), GIT_PROTOCOL: 'version=2' },
    maxBuffer: 1 << 28,
  });
  const shallow: string[] = [];
  const unshallow: string[] = [];
  const pack: Buffer[] = [];
  let inPack = false;
  for (const one of cut(run.stdout).packets) {
    if (one.kind !== 'data') continue;
    if (inPack) {
      if (one.payload[0] === 1) pack.push(one.payload.subarray(1));
      continue;
    }
    const line = one.payload.toString('latin1').trimEnd();
    if (line === 'packfile') inPack = true;
    else if (line.startsWith('shallow ')) shallow.push(line.slice(8));
    else if (line.startsWith('unshallow ')) unshallow.push(line.slice(10));
    else if (line.startsWith('ERR ')) return { kind: 'refused', message: line.slice(4) };
  }
  if (run.status !== 0 || pack.length === 0) return { kind: 'refused', message: run.stderr.toString() };
  return {
    kind: 'pack',
    shallow: [...new Set(shallow)].toSorted(),
    unshallow: [...new Set(unshallow)].toSorted(),
    objects: objectsOf(folder, Buffer.concat(pack)),
  };
}

const scratches = new Map<string, string>();

/** The objects that `pack`, thin or not, carries: those that index-pack appended to complete it lie behind them. */
function objectsOf(folder: string, pack: Buffer): ReadonlySet<string> {
  let scratch = scratches.get(folder);
  if (scratch === undefined) {
    scratch = temporaryFolder('scratch');
    gitSync(['init', '-q', '--bare', scratch]);
    execFileSync('sh', ['-c', `echo "$1/objects" > objects/info/alternates`, 'sh', folder], { cwd: scratch });
    scratches.set(folder, scratch);
  }
  const count = pack.readUInt32BE(8);
  if (count === 0) return new Set();
  const env = gitEnvironment();
  const name = execFileSync('git', ['index-pack', '--stdin', '--fix-thin'], {
    cwd: scratch,
    env,
    input: pack,
    stdio: ['pipe', 'pipe', 'pipe'],
  })
    .toString()
    .trim()
    .split('\t')[1] as string;
  const stem = join(scratch, 'objects/pack', `pack-${name}`);
  const lines = execFileSync('sh', ['-c', `git show-index < "$1.idx"; rm -f "$1".*`, 'sh', stem], { cwd: scratch, env })
    .toString()
    .trim()
    .split('\n')
    .map((line) => line.split(' '));
  const byOffset = lines.toSorted((a, b) => Number(a[0]) - Number(b[0]));
  return new Set(byOffset.slice(0, count).map(([, oid]) => oid as string));
}
