/**
 * The architecture is lint: in a tree that holds one violation of each rule, every one is found where it is, and
 * nothing is said about the files that keep to the rules.
 */
import { execFile } from 'node:child_process';
import { copyFileSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, test } from 'vitest';
import { temporaryFolder } from '../../support/git.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const bin = join(root, 'node_modules', '.bin');

interface Seed {
  readonly file: string;
  readonly text: string;
}
interface Violation extends Seed {
  readonly rule: string;
}

const RESTRICTED = 'eslint(no-restricted-imports)';

function importing(file: string, target: string): Seed {
  return { file, text: `import { thing } from '${target}';\nexport const used: unknown = thing;\n` };
}

/** Rooms from left to right: each pair is an import that the order forbids. */
const FORBIDDEN_IMPORTS: readonly (readonly [string, string])[] = [
  ['src/access/a.ts', '../http/x.ts'],
  ['src/serve/a.ts', '../http/x.ts'],
  ['src/serve/b.ts', '../access/x.ts'],
  ['src/serve/sub/c.ts', '../../proxy/x.ts'],
  ['src/proxy/a.ts', '../serve/x.ts'],
  ['src/browse/a.ts', '../warm/x.ts'],
  ['src/warm/a.ts', '../http/x.ts'],
  ['src/answers/a.ts', '../mirror/x.ts'],
  ['src/mirror/a.ts', '../serve/x.ts'],
  ['src/mirror/sub/b.ts', '../../access/x.ts'],
  ['src/upstream/a.ts', '../mirror/x.ts'],
  ['src/upstream/b.ts', '../jobs/x.ts'],
  ['src/popularity/a.ts', '../upstream/x.ts'],
  ['src/jobs/a.ts', '../popularity/x.ts'],
  ['src/protocol/a.ts', '../pack/x.ts'],
  ['src/protocol/b.ts', '../upstream/x.ts'],
  ['src/protocol/sub/c.ts', '../../telemetry/x.ts'],
  ['src/pack/a.ts', '../protocol/x.ts'],
  ['src/pack/b.ts', '../mirror/x.ts'],
  ['src/pack/c.ts', '../telemetry/x.ts'],
  ['src/storage/a.ts', '../pack/x.ts'],
  ['src/storage/drivers/a.ts', '../../mirror/x.ts'],
  ['src/bytes/a.ts', '../storage/x.ts'],
  ['src/bytes/b.ts', '../telemetry/x.ts'],
  ['src/telemetry/a.ts', '../storage/x.ts'],
  // Who composes, and what is outside.
  ['src/http/a.ts', '../config.ts'],
  ['src/warm/a.ts', '../settings.ts'],
  ['src/mirror/c.ts', '../app.ts'],
  ['src/serve/d.ts', '../platform.ts'],
  ['src/http/b.ts', '../../adapters/node.ts'],
  ['src/app.ts', '../test/support/git.ts'],
  // What is not on every runtime.
  ['src/http/c.ts', 'node:fs'],
  ['src/pack/d.ts', 'node:stream'],
  ['src/app-two.ts', 'node:path'],
  ['src/storage/e.ts', 'node:fs/promises'],
  ['src/bytes/c.ts', 'buffer'],
  // Nobody starts processes.
  ['src/storage/drivers/b.ts', 'node:child_process'],
  ['adapters/a.ts', 'node:child_process'],
  ['src/config-two.ts', 'node:child_process'],
  // Libraries stay in their room.
  ['src/serve/e.ts', 'h3'],
  ['src/mirror/d.ts', 'unstorage'],
  ['src/serve/f.ts', 'isomorphic-git'],
  ['src/http/d.ts', 'valibot'],
];

const OTHERS: readonly Violation[] = [
  { rule: 'eslint(no-restricted-globals)', file: 'src/http/buffer.ts', text: 'export const b: unknown = Buffer;\n' },
  { rule: 'eslint(no-restricted-globals)', file: 'src/pack/process.ts', text: 'export const p: unknown = process;\n' },
  {
    rule: 'import(no-cycle)',
    file: 'src/jobs/left.ts',
    text: "import { r } from './right.ts';\nexport const l: () => number = () => r();\n",
  },
  {
    rule: 'import(no-cycle)',
    file: 'src/jobs/right.ts',
    text: "import { l } from './left.ts';\nexport const r: () => number = () => l();\n",
  },
  { rule: 'oxc(no-barrel-file)', file: 'src/bytes/index.ts', text: "export * from './clean.ts';\n" },
  {
    rule: 'eslint(max-lines)',
    file: 'src/bytes/long.ts',
    text: 'export const x: number[] = [\n' + '1,\n'.repeat(400) + '];\n',
  },
  {
    rule: 'eslint(max-params)',
    file: 'src/bytes/many.ts',
    text: 'export function many(a: 1, b: 1, c: 1, d: 1, e: 1): number {\n  return a + b + c + d + e;\n}\n',
  },
  {
    rule: 'typescript(no-explicit-any)',
    file: 'src/bytes/any.ts',
    text: 'export function f(x: any): string {\n  return String(x);\n}\n',
  },
  {
    rule: 'typescript(no-floating-promises)',
    file: 'src/bytes/floating.ts',
    text: 'async function work(): Promise<void> {}\nexport function f(): void {\n  work();\n}\n',
  },
  {
    rule: 'typescript(switch-exhaustiveness-check)',
    file: 'src/bytes/switch.ts',
    text: "export function f(x: 'a' | 'b'): number {\n  switch (x) {\n    case 'a':\n      return 1;\n  }\n  return 2;\n}\n",
  },
  {
    rule: 'typescript(consistent-type-imports)',
    file: 'src/bytes/type-import.ts',
    text: "import { Clean } from './clean.ts';\nexport function f(x: Clean): Clean {\n  return x;\n}\n",
  },
];

const ALLOWED: readonly Seed[] = [
  { file: 'src/bytes/clean.ts', text: 'export type Clean = string;\nexport const thing: Clean = "x";\n' },
  importing('src/http/ok.ts', '../serve/ok.ts'),
  importing('src/http/ok2.ts', 'h3'),
  importing('src/serve/ok.ts', '../mirror/sub/ok.ts'),
  importing('src/mirror/sub/ok.ts', '../../pack/ok.ts'),
  importing('src/mirror/ok3.ts', '../telemetry/ok.ts'),
  importing('src/upstream/ok.ts', '../protocol/ok.ts'),
  importing('src/pack/ok.ts', 'node:zlib'),
  importing('src/protocol/ok.ts', '../bytes/clean.ts'),
  importing('src/storage/drivers/ok.ts', 'node:fs/promises'),
  importing('src/storage/ok2.ts', 'unstorage'),
  importing('src/telemetry/ok.ts', '../bytes/clean.ts'),
  importing('adapters/ok.ts', 'node:worker_threads'),
  importing('test/ok.ts', 'node:child_process'),
  importing('bench/ok.ts', 'node:child_process'),
];

const VIOLATIONS: readonly Violation[] = [
  ...FORBIDDEN_IMPORTS.map(([file, target]) => ({ ...importing(file, target), rule: RESTRICTED })),
  ...OTHERS,
];

function seed(folder: string, files: readonly Seed[]): void {
  for (const { file, text } of files) {
    const path = join(folder, file);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }
}

function makeTree(files: readonly Seed[]): string {
  const folder = temporaryFolder('lint');
  for (const name of [
    'oxlint.config.ts',
    'tsconfig.json',
    'tsconfig.base.json',
    'tsconfig.portable.json',
    'package.json',
  ]) {
    copyFileSync(join(root, name), join(folder, name));
  }
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  mkdirSync(join(folder, 'src'));
  copyFileSync(join(root, 'src', 'portable-node.d.ts'), join(folder, 'src', 'portable-node.d.ts'));
  seed(folder, files);
  return folder;
}

/** What a command printed, whatever its exit code. */
async function output(
  command: string,
  args: readonly string[],
  cwd: string,
): Promise<{ code: number; stdout: string }> {
  const env = { ...process.env, PATH: `${bin}:${process.env['PATH'] ?? ''}` };
  try {
    const { stdout } = await promisify(execFile)(join(bin, command), args, { cwd, env, maxBuffer: 2 ** 26 });
    return { code: 0, stdout };
  } catch (error) {
    const { code, stdout } = error as { code: number; stdout: string };
    return { code, stdout };
  }
}

/** Rules broken, by file. */
async function lint(folder: string): Promise<{ code: number; broken: Map<string, string[]> }> {
  const { code, stdout } = await output('oxlint', ['-f', 'json'], folder);
  const report = JSON.parse(stdout.slice(stdout.indexOf('{'))) as {
    diagnostics: readonly { readonly code: string; readonly filename: string }[];
  };
  const broken = new Map<string, string[]>();
  for (const { code: rule, filename } of report.diagnostics) {
    broken.set(filename, [...(broken.get(filename) ?? []), rule]);
  }
  return { code, broken };
}

describe('in a tree with one violation of each rule', () => {
  let code = 0;
  let broken = new Map<string, string[]>();
  beforeAll(async () => {
    ({ code, broken } = await lint(makeTree([...VIOLATIONS, ...ALLOWED])));
  }, 60_000);

  test('lint fails', () => expect(code).not.toBe(0));

  test.each(VIOLATIONS.map((one) => [one.file, one.rule] as const))('%s breaks %s', (file, rule) => {
    expect(broken.get(file)).toContain(rule);
  });

  test.each(ALLOWED.map((one) => [one.file]))('%s is let pass', (file) => {
    expect(broken.get(file)).toBeUndefined();
  });
});

test('a tree that keeps to the rules passes', async () => {
  expect(await lint(makeTree(ALLOWED))).toEqual({ code: 0, broken: new Map() });
}, 60_000);

test('in the portable rooms nothing of Node compiles but what all runtimes have', async () => {
  const folder = makeTree([
    {
      file: 'src/bytes/ok.ts',
      text: "import { createHash } from 'node:crypto';\nexport const h: unknown = createHash('sha1');\n",
    },
    { file: 'src/bytes/fs.ts', text: "import { readFile } from 'node:fs';\nexport const x: unknown = readFile;\n" },
    { file: 'src/bytes/process.ts', text: 'export const x: unknown = process.env;\n' },
    { file: 'src/bytes/buffer.ts', text: "export const x: unknown = Buffer.from('x');\n" },
    {
      file: 'src/storage/drivers/fs.ts',
      text: "import { readFile } from 'node:fs';\nexport const x: unknown = readFile;\n",
    },
  ]);
  const { stdout } = await output('tsc', ['-p', 'tsconfig.portable.json', '--pretty', 'false'], folder);
  const files = [...stdout.matchAll(/^(src\/\S+?)\(/gm)].map(([, file]) => file);
  expect(new Set(files)).toEqual(new Set(['src/bytes/buffer.ts', 'src/bytes/fs.ts', 'src/bytes/process.ts']));
}, 60_000);
