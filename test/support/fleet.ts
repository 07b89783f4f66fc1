/** Several servers over one bucket, on Node or as their command says, in front of one upstream that has one repository, and what tests do to them. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { assertSound } from './clones.ts';
import { git, temporaryFolder } from './git.ts';
import { Hotpack } from './hotpack.ts';
import { startS3Server, type S3Server } from './s3-server.ts';
import { startUpstream, type Upstream } from './upstream.ts';

const PREFIX = 'cache/of-ci';

export class Fleet {
  readonly s3: S3Server;
  readonly upstream: Upstream;
  /** Of the repository, as clients name it. */
  readonly name = 'up/repo';
  readonly #servers: Hotpack[] = [];

  private constructor(s3: S3Server, upstream: Upstream) {
    this.s3 = s3;
    this.upstream = upstream;
  }

  /** `repository`: a bare folder to copy. */
  static async open(repository: string): Promise<Fleet> {
    const fleet = new Fleet(await startS3Server(), await startUpstream());
    fleet.upstream.add(fleet.name, repository);
    return fleet;
  }

  /** `command`: what to run; default: the built adapter for Node. */
  async startServer(env: Readonly<Record<string, string>> = {}, command?: readonly string[]): Promise<Hotpack> {
    const hotpack = new Hotpack({
      upstreams: { up: this.upstream.base('up') },
      env: { ...this.s3.env(PREFIX), ...env },
      ...(command === undefined ? {} : { command }),
    });
    this.#servers.push(hotpack);
    return hotpack.start();
  }

  /** A clone through a server, checked by git. */
  async clone(hotpack: Hotpack, options: readonly string[] = []): Promise<string> {
    const folder = join(temporaryFolder('clone'), 'work');
    await git(['clone', '--quiet', ...options, hotpack.repository(this.name), folder]);
    await assertSound(folder);
    return folder;
  }

  /** Gets one commit, as CI does. */
  async fetchCommit(hotpack: Hotpack, oid: string): Promise<string> {
    const folder = join(temporaryFolder('checkout'), 'work');
    await git(['init', '--quiet', folder]);
    await git(['-C', folder, 'fetch', '--quiet', '--depth=1', hotpack.repository(this.name), oid]);
    return (await git(['-C', folder, 'rev-parse', 'FETCH_HEAD'])).trim();
  }

  /** How often upstream was asked for objects. */
  get fetches(): number {
    return this.upstream.journal.select({ repository: this.name, kind: 'fetch' }).length;
  }

  /** Keys in the bucket that hold `part`. */
  keysWith(part: string): string[] {
    return [...this.s3.store.objects.keys()].filter((key) => key.includes(part));
  }

  get isFilled(): boolean {
    return this.keysWith('/hotpack/manifest!').length > 0;
  }

  async until(what: string, isSo: () => boolean | Promise<boolean>, timeoutMs = 20_000): Promise<void> {
    for (const deadline = Date.now() + timeoutMs; !(await isSo());) {
      if (Date.now() > deadline) {
        const logs = this.#servers.map((one) => one.stderr.slice(-4000)).join('\n');
        throw new Error(`after ${timeoutMs} ms not yet: ${what}\n${logs}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** The mirror as it lies in the bucket, in a folder, judged by git. */
  async fsckAtRest(): Promise<void> {
    const folder = temporaryFolder('at-rest');
    for (const [key, object] of this.s3.store.objects) {
      const path = join(folder, key);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, object.bytes);
    }
    const mirror = join(folder, PREFIX, 'mirrors', `${this.name}.git`);
    await git(['-C', mirror, 'fsck', '--full', '--no-dangling', '--no-progress']);
  }

  async close(): Promise<void> {
    this.s3.fault = undefined;
    this.s3.delayMs = 0;
    this.upstream.clearRules();
    try {
      for (const one of this.#servers.splice(0)) await one.stop();
    } finally {
      await this.upstream.stop();
      await this.s3.stop();
    }
  }
}

/** How often a server logged an event. */
export function logged(hotpack: Hotpack, event: string): number {
  return hotpack.log.filter((line) => line.event === event).length;
}
