/** Real repositories and real `git upload-pack`, one process a request, as smart HTTP runs it. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PktLineWriter } from '../../../src/protocol/pkt-line/writer.ts';

const ENVIRONMENT: NodeJS.ProcessEnv = {
  ...process.env,
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_AUTHOR_NAME: 'A',
  GIT_AUTHOR_EMAIL: 'a@example.com',
  GIT_COMMITTER_NAME: 'A',
  GIT_COMMITTER_EMAIL: 'a@example.com',
};

export class GitRepository {
  readonly path: string;
  #clock = 1_700_000_000;

  constructor() {
    this.path = mkdtempSync(join(tmpdir(), 'hotpack-protocol-'));
    this.git('init', '-q', '-b', 'main');
  }

  git(...args: string[]): string {
    const date = `@${this.#clock} +0000`;
    return execFileSync('git', args, {
      cwd: this.path,
      encoding: 'utf8',
      env: { ...ENVIRONMENT, GIT_AUTHOR_DATE: date, GIT_COMMITTER_DATE: date },
    }).trim();
  }

  /** An empty commit on the current branch, each a minute after the last. */
  commit(message: string): string {
    this.#clock += 60;
    this.git('commit', '-q', '--allow-empty', '-m', message);
    return this.git('rev-parse', 'HEAD');
  }

  advertisement(version: 0 | 1 | 2): Uint8Array {
    return this.#uploadPack(version, ['--advertise-refs'], new Uint8Array(0));
  }

  uploadPack(version: 0 | 1 | 2, body: Uint8Array): Uint8Array {
    return this.#uploadPack(version, [], body);
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }

  #uploadPack(version: number, args: readonly string[], body: Uint8Array): Uint8Array {
    const run = spawnSync('git', ['upload-pack', '--stateless-rpc', ...args, this.path], {
      input: body,
      env: { ...ENVIRONMENT, GIT_PROTOCOL: `version=${version}` },
      maxBuffer: 1 << 28,
    });
    return Uint8Array.from(run.stdout);
  }
}

/** A body from lines; `0000` and `0001` stand for flush and delimiter. */
export function bodyOf(...lines: readonly string[]): Uint8Array {
  const writer = new PktLineWriter();
  for (const line of lines) {
    if (line === '0000') writer.flush();
    else if (line === '0001') writer.delim();
    else writer.line(line);
  }
  return writer.bytes();
}

export function textOf(bytes: Uint8Array): string {
  return new TextDecoder('latin1').decode(bytes);
}
