/**
 * The repositories that tests clone: generated, the same objects on every machine, repacked with deltas as a host
 * would keep them. Each function makes a bare repository in a temporary folder once and gives its path.
 */
import { createHash } from 'node:crypto';
import { cpSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FastImport, type FileChange } from './fast-import.ts';
import { gitSync, temporaryFolder } from './git.ts';

const made = new Map<string, string>();

function once(name: string, make: (folder: string) => void): string {
  const known = made.get(name);
  if (known !== undefined) return known;
  const folder = join(temporaryFolder('fixture'), `${name}.git`);
  gitSync(['init', '-q', '--bare', '-b', 'main', folder]);
  make(folder);
  finish(folder);
  made.set(name, folder);
  return folder;
}

/** What GitHub and GitLab allow, and git does not by default. */
function finish(folder: string): void {
  for (const [name, value] of [
    ['uploadpack.allowFilter', 'true'],
    ['uploadpack.allowAnySHA1InWant', 'true'],
    ['http.receivepack', 'true'],
    ['receive.denyDeleteCurrent', 'ignore'],
    ['gc.auto', '0'],
    ['receive.autogc', 'false'],
    ['repack.writeBitmaps', 'false'],
  ] as const) {
    gitSync(['config', name, value], { cwd: folder });
  }
  gitSync(['repack', '-adq'], { cwd: folder });
  gitSync(['pack-refs', '--all'], { cwd: folder });
}

/** Bytes that do not compress, the same for the same seed. */
export function noise(seed: string, bytes: number): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at * 32 < bytes; at++) parts.push(createHash('sha256').update(`${seed}/${at}`).digest());
  return Buffer.concat(parts).subarray(0, bytes);
}

function prose(seed: string, lines: number): string {
  let text = '';
  for (let line = 0; line < lines; line++) text += `${seed} line ${line} ${(line * 7919) % 1009}\n`;
  return text;
}

/** The repository that `rich` holds as a submodule gitlink. */
export function subRepository(): string {
  return once('sub', (folder) => {
    const stream = new FastImport();
    for (let n = 0; n < 5; n++) {
      stream.commit({
        ref: 'refs/heads/main',
        message: `sub ${n}`,
        changes: [{ path: 'sub.txt', data: prose(`sub${n}`, 20 + n) }],
      });
    }
    stream.run(folder);
  });
}

/** Everything that real repositories have and that has ever broken a cache: some 260 commits, 1,300 objects. */
export function richRepository(): string {
  return once('rich', (folder) => {
    const gitlink = gitSync(['rev-parse', 'main'], { cwd: subRepository() }).trim();
    const stream = new FastImport();
    const main = 'refs/heads/main';
    const first: FileChange[] = [
      { path: 'README.md', data: prose('readme', 60) },
      { path: 'bin/run.sh', data: '#!/bin/sh\necho run\n', mode: '100755' },
      { path: 'link', data: 'README.md', mode: '120000' },
      { path: 'assets/logo.bin', data: noise('logo', 200 * 1024) },
      { path: 'empty', data: '' },
      { path: 'sparse-rules', data: '/src/\n!/src/deep/\n' },
      { path: 'vendor/sub', gitlink },
    ];
    for (let n = 0; n < 80; n++)
      first.push({ path: `src/part-${n % 8}/file-${n}.ts`, data: prose(`file${n}`, 20 + (n % 30)) });
    for (let depth = 1; depth <= 6; depth++)
      first.push({ path: `src/deep/${'x/'.repeat(depth)}leaf.txt`, data: `leaf ${depth}\n` });
    let tip = stream.commit({ ref: main, message: 'root', changes: first });
    const root = tip;
    const early: string[] = [];
    for (let n = 0; n < 200; n++) {
      const changes: FileChange[] = [
        { path: `src/part-${n % 8}/file-${n % 80}.ts`, data: prose(`file${n % 80}`, 20 + ((n * 3) % 50)) },
      ];
      if (n % 10 === 0) changes.push({ path: 'README.md', data: prose('readme', 60 + n) });
      if (n % 40 === 39)
        changes.push({ path: `moved/file-${n}.ts`, renamedFrom: `src/part-${n % 8}/file-${n % 80}.ts` });
      if (n === 77)
        changes.push({
          path: 'assets/logo.bin',
          data: Buffer.concat([noise('logo', 200 * 1024), noise('more', 4096)]),
        });
      if (n === 120) changes.push({ path: 'assets/other.bin', data: noise('other', 200 * 1024) });
      if (n === 150) changes.push({ path: 'assets/other.bin', deleted: true });
      if (n % 25 === 7) {
        const side = stream.commit({
          ref: 'refs/heads/work',
          from: tip,
          message: `side ${n}`,
          changes: [{ path: `side/${n}.txt`, data: prose(`side${n}`, 12) }],
        });
        tip = stream.commit({ ref: main, from: tip, merge: [side], message: `merge ${n}`, changes });
      } else tip = stream.commit({ ref: main, from: tip, message: `change ${n}`, changes });
      if (n < 60) early.push(tip);
    }
    const topics: string[] = [];
    for (const name of ['one', 'two', 'three']) {
      let topic = early[topics.length * 15] ?? root;
      for (let n = 0; n < 8; n++) {
        topic = stream.commit({
          ref: `refs/heads/topic/${name}`,
          from: topic,
          message: `${name} ${n}`,
          changes: [{ path: `topic/${name}.txt`, data: prose(name, 5 + n) }],
        });
      }
      topics.push(topic);
    }
    tip = stream.commit({
      ref: main,
      from: tip,
      merge: topics,
      message: 'octopus',
      changes: [{ path: 'octopus.txt', data: 'eight arms\n' }],
    });
    const v1 = stream.tag('v1.0', early[30] ?? root, 'version 1.0\n');
    stream.tag('v1.0-signed-off', v1, 'a tag of a tag\n');
    stream.reset('refs/tags/light', early[50] ?? root);
    let release = early[59] ?? root;
    for (let n = 0; n < 6; n++)
      release = stream.commit({
        ref: 'refs/heads/release/1.x',
        from: release,
        message: `fix ${n}`,
        changes: [{ path: 'CHANGES', data: prose('changes', n + 1) }],
      });
    stream.tag('v1.1', release, 'version 1.1\n');
    stream.commit({
      ref: 'refs/heads/unrelated',
      message: 'another root',
      changes: [{ path: 'pages/index.html', data: '<p>pages</p>\n' }],
    });
    const pull = stream.commit({
      ref: 'refs/pull/1/head',
      from: tip,
      message: 'a pull request',
      changes: [{ path: 'pull.txt', data: prose('pull', 9) }],
    });
    stream.commit({
      ref: 'refs/pull/1/merge',
      from: tip,
      merge: [pull],
      message: 'merge of a pull request',
      changes: [{ path: 'pull.txt', data: prose('pull', 9) }],
    });
    const late: FileChange[] = [{ path: 'late.txt', data: prose('late', 30) }];
    for (let n = 0; n < 12; n++)
      tip = stream.commit({
        ref: main,
        from: tip,
        message: `late ${n}`,
        changes: [...late, { path: `late/${n}.txt`, data: `late ${n}\n` }],
      });
    stream.tag('v2.0', tip, 'version 2.0\n');
    stream.commit({ ref: main, from: tip, message: 'the newest', changes: [{ path: 'newest.txt', data: 'newest\n' }] });
    stream.run(folder);
    gitSync(['update-ref', '-d', 'refs/heads/work'], { cwd: folder });
    gitSync(['tag', 'a-tree', 'main^{tree}'], { cwd: folder });
    gitSync(['tag', '-a', '-m', 'a tagged blob', 'a-blob', 'main:README.md'], { cwd: folder });
    gitSync(['symbolic-ref', 'refs/heads/alias', 'refs/heads/release/1.x'], { cwd: folder });
  });
}

/** `rich` as it was twenty commits of main before: what clients hold before they fetch. Same ids, fewer refs. */
export function olderRichRepository(): string {
  return once('older', (folder) => {
    const rich = richRepository();
    gitSync(['fetch', '-q', rich, `+${revision(rich, 'main~20')}:refs/heads/main`], { cwd: folder });
    gitSync(
      ['fetch', '-q', rich, `+${revision(rich, 'topic/one~3')}:refs/heads/topic/one`, '+refs/tags/v1.0:refs/tags/v1.0'],
      { cwd: folder },
    );
  });
}

/** Commits of one line, a day apart, for everything that shallow options measure. */
export function datedRepository(): string {
  return once('dated', (folder) => {
    const stream = new FastImport();
    let tip = '';
    for (let day = 0; day < 30; day++) {
      tip = stream.commit({
        ref: 'refs/heads/main',
        at: 1_600_000_000 + day * 86_400,
        message: `day ${day}`,
        changes: [
          { path: 'day.txt', data: prose(`day${day}`, 10) },
          { path: `days/${day}.txt`, data: `day ${day}\n` },
        ],
      });
      if (day % 7 === 0) stream.tag(`day-${day}`, tip, `day ${day}\n`);
      if (day === 20)
        stream.commit({
          ref: 'refs/heads/branch',
          from: tip,
          message: 'a branch',
          changes: [{ path: 'branch.txt', data: 'branch\n' }],
        });
    }
    stream.run(folder);
  });
}

/** `dated` eight days before. */
export function olderDatedRepository(): string {
  return once('dated-older', (folder) => {
    const dated = datedRepository();
    gitSync(['fetch', '-q', dated, `+${revision(dated, 'main~8')}:refs/heads/main`], { cwd: folder });
  });
}

export function emptyRepository(): string {
  return once('empty', () => undefined);
}

/** Has commits, but HEAD names a branch that has none. */
export function unbornRepository(): string {
  return once('unborn', (folder) => {
    cpSync(subRepository(), folder, { recursive: true });
    gitSync(['symbolic-ref', 'HEAD', 'refs/heads/not-yet'], { cwd: folder });
  });
}

export function detachedRepository(): string {
  return once('detached', (folder) => {
    cpSync(subRepository(), folder, { recursive: true });
    writeFileSync(join(folder, 'HEAD'), `${revision(folder, 'main~2')}\n`);
  });
}

/** A super project whose `.gitmodules` has a relative URL: `../sub.git`. */
export function superRepository(): string {
  return once('super', (folder) => {
    const stream = new FastImport();
    stream.commit({
      ref: 'refs/heads/main',
      message: 'super',
      changes: [
        { path: '.gitmodules', data: '[submodule "sub"]\n\tpath = sub\n\turl = ../sub.git\n' },
        { path: 'sub', gitlink: revision(subRepository(), 'main') },
        { path: 'super.txt', data: 'super\n' },
      ],
    });
    stream.run(folder);
  });
}

/** Object format SHA-256. */
export function sha256Repository(): string {
  const known = made.get('sha256');
  if (known !== undefined) return known;
  const folder = join(temporaryFolder('fixture'), 'sha256.git');
  gitSync(['init', '-q', '--bare', '-b', 'main', '--object-format=sha256', folder]);
  const stream = new FastImport();
  for (let n = 0; n < 4; n++)
    stream.commit({
      ref: 'refs/heads/main',
      message: `n ${n}`,
      changes: [{ path: 'a.txt', data: prose(`sha${n}`, 9) }],
    });
  stream.run(folder);
  finish(folder);
  made.set('sha256', folder);
  return folder;
}

/** Full hash that `revision` names in the repository at `folder`. */
export function revision(folder: string, name: string): string {
  return gitSync(['rev-parse', '--verify', name], { cwd: folder }).trim();
}

let pushed = 0;

/** Makes a commit on `branch` of a bare repository, as a push would, and gives its id. */
export function commitUpstream(folder: string, branch = 'main', from: string = `refs/heads/${branch}`): string {
  const n = ++pushed;
  const stream = new FastImport(1_800_000_000 + n * 60);
  stream.commit({
    ref: `refs/heads/${branch}`,
    from: revision(folder, `${from}^{commit}`),
    message: `pushed ${n}`,
    changes: [{ path: `pushed/${n}.txt`, data: prose(`pushed${n}`, 25) }],
  });
  stream.run(folder);
  return revision(folder, `refs/heads/${branch}`);
}
