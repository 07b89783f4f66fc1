/**
 * An upstream that is an object: refs and packs come from a repository on disk by real git, every call is recorded, and each
 * can be held, failed or cut. A clock that only tests move, and storage that counts, come along.
 */
import { spawnSync } from 'node:child_process';
import { createJobs, type Jobs } from '../../../src/jobs/jobs.ts';
import { Mirror } from '../../../src/mirror/mirror.ts';
import type { Asker, MirrorServices } from '../../../src/mirror/services.ts';
import type { Capabilities } from '../../../src/protocol/capabilities/capability.ts';
import { NO_REFS } from '../../../src/protocol/refs-snapshot.ts';
import type { Ref, RefsSnapshot } from '../../../src/protocol/refs-snapshot.ts';
import type { Storage } from '../../../src/storage/contract.ts';
import { createMemoryStorage } from '../../../src/storage/drivers/memory.ts';
import type { Logger } from '../../../src/telemetry/logger.ts';
import type { Failure, FetchOk, ProbeOk, Refused, RefsOk, Upstream } from '../../../src/upstream/contract.ts';
import { Credential } from '../../../src/upstream/credential.ts';
import type { Repository } from '../../../src/upstream/repository.ts';
import { gitEnvironment, gitSync } from '../../support/git.ts';
import { cut, lines } from '../../support/pkt-lines.ts';

export const CAPABILITIES: Capabilities = [
  { name: 'agent', value: 'git/fake' },
  { name: 'ls-refs', value: 'unborn' },
  { name: 'fetch', value: 'shallow wait-for-done filter' },
  { name: 'object-format', value: 'sha1' },
];

export function asker(secret?: string): Asker {
  const credential = secret === undefined ? undefined : new Credential([['Authorization', `Bearer ${secret}`]]);
  return { credential, capabilities: CAPABILITIES, visibility: 'unknown' };
}

export const DENIED: Failure = { kind: 'denied', answer: { status: 401, headers: [], body: new Uint8Array() } };
export const DOWN: Failure = { kind: 'unavailable', reason: 'network', message: 'refused', retryAtMs: 0 };

export const repository: Repository = {
  upstream: { name: 'up', baseUrl: 'http://up', ignoresCase: false },
  name: 'up/a/b',
  key: 'up/a/b.git',
  url: 'http://up/a/b',
};

/** The refs of a repository on disk, as upstream would say them. */
export function refsOf(folder: string): RefsSnapshot {
  const format = '%(objectname) %(refname) %(*objectname)';
  const refs = gitSync(['for-each-ref', `--format=${format}`], { cwd: folder })
    .split('\n')
    .filter((line) => line !== '')
    .map((line): Ref => {
      const [oid, name, peeled] = line.split(' ') as [string, string, string];
      return { oid, name, ...(peeled === '' ? {} : { peeled }) };
    });
  const target = gitSync(['symbolic-ref', 'HEAD'], { cwd: folder }).trim();
  const head = refs.find((ref) => ref.name === target);
  return { refs, head: head === undefined ? { kind: 'unborn', target } : { kind: 'symref', target, oid: head.oid } };
}

export interface FetchCall {
  readonly wants: readonly string[];
  readonly haves: readonly string[];
  readonly credential: Credential | undefined;
  readonly purpose: string;
  /** Objects in the pack that was sent. */
  packObjects: number;
  wasCancelled: boolean;
}

type FetchRule = { cutAfter?: number; failure?: Failure; flipByte?: number; hold?: Promise<void>; holdAfter?: number };

export class FakeUpstream implements Upstream {
  folder: string;
  readonly lsRefsCalls: (Credential | undefined)[] = [];
  readonly fetches: FetchCall[] = [];
  /** Answers of the next ls-refs, in order; then git's own. */
  readonly nextRefs: (RefsOk | Refused | Failure | Promise<RefsOk | Refused | Failure>)[] = [];
  /** What happens to the next fetches. */
  readonly nextFetch: FetchRule[] = [];

  constructor(folder: string) {
    this.folder = folder;
  }

  async lsRefs(
    _: Repository,
    __: unknown,
    asking: { credential: Credential | undefined },
  ): ReturnType<Upstream['lsRefs']> {
    this.lsRefsCalls.push(asking.credential);
    return this.nextRefs.shift() ?? { kind: 'ok', refs: this.folder === '' ? NO_REFS : refsOf(this.folder) };
  }

  async fetch(...[, body, asking]: Parameters<Upstream['fetch']>): Promise<FetchOk | Failure> {
    const asked = lines(Buffer.from(body));
    const named = (word: string): string[] =>
      asked.filter((line) => line.startsWith(`${word} `)).map((line) => line.slice(word.length + 1).trimEnd());
    const { credential, purpose, signal } = asking;
    const call: FetchCall = {
      wants: named('want'),
      haves: named('have'),
      credential,
      purpose,
      packObjects: 0,
      wasCancelled: false,
    };
    this.fetches.push(call);
    const rule = this.nextFetch.shift() ?? {};
    if (rule.failure !== undefined) return rule.failure;
    const { stdout } = spawnSync('git', ['upload-pack', '--stateless-rpc', this.folder], {
      input: body,
      env: { ...gitEnvironment(), GIT_PROTOCOL: 'version=2' },
      maxBuffer: 1 << 28,
    });
    call.packObjects = packObjectsOf(stdout);
    if (rule.flipByte !== undefined) stdout[rule.flipByte] = (stdout[rule.flipByte] as number) ^ 1;
    let at = 0;
    const stream = new ReadableStream<Uint8Array>(
      {
        start(controller) {
          signal?.addEventListener('abort', () => {
            call.wasCancelled = true;
            // Already ended streams do not mind.
            try {
              controller.error(signal.reason);
            } catch {}
          });
        },
        async pull(controller) {
          if (rule.hold !== undefined && at >= (rule.holdAfter ?? 0)) await rule.hold;
          const end = Math.min(at + 8192, rule.cutAfter ?? stdout.length);
          if (signal?.aborted === true) return;
          if (end > at) controller.enqueue(new Uint8Array(stdout.subarray(at, end)));
          at = end;
          if (at >= (rule.cutAfter ?? stdout.length)) controller.close();
        },
        cancel() {
          call.wasCancelled = true;
        },
      },
      { highWaterMark: 0 },
    );
    return { kind: 'ok', body: stream };
  }

  /** How often the v0 list was asked for, and whether it ends in a boundary. */
  probes = 0;
  isShallow = false;
  async probe(): Promise<ProbeOk> {
    this.probes++;
    const { isShallow } = this;
    return { kind: 'ok', objectFormat: 'sha1', transport: { kind: 'v0', capabilities: [], isShallow } };
  }
  probeAsHotpack(): never {
    throw new Error('not asked for here');
  }
  forward(): never {
    throw new Error('not asked for here');
  }
  throttledUntilMs(): undefined {
    return undefined;
  }
}

function packObjectsOf(answer: Buffer): number {
  const { packets } = cut(answer);
  const start = packets.findIndex((one) => one.kind === 'data' && one.payload.toString('latin1') === 'packfile\n');
  const bands = packets.slice(start + 1).flatMap((one) => (one.kind === 'data' && one.payload[0] === 1 ? [one] : []));
  const pack = Buffer.concat(bands.map((one) => one.payload.subarray(1)));
  return start < 0 || pack.length < 12 ? 0 : pack.readUInt32BE(8);
}

export interface World {
  readonly upstream: FakeUpstream;
  readonly storage: Storage;
  readonly mirror: Mirror;
  readonly jobs: Jobs;
  readonly logged: [string, unknown][];
  nowMs: number;
  /** Another process over the same store. */
  readonly restarted: () => Mirror;
  /** When nothing is queued or running. */
  readonly idle: () => Promise<void>;
}

export function createWorld(
  folder: string,
  options: { intervalMs?: number; storage?: Storage; maxMirrorBytes?: number; onMoved?: () => void } & Pick<
    MirrorServices,
    'bitmapReads' | 'staging'
  > = {},
): World {
  const upstream = new FakeUpstream(folder);
  const storage = options.storage ?? createMemoryStorage();
  const logged: [string, unknown][] = [];
  const log = (event: string, fields: unknown): void => void logged.push([event, fields]);
  const logger = { debug: log, info: log, warn: log, error: log } as Logger;
  const jobs = createJobs({ concurrency: 4, cloneConcurrency: 2 });
  const services: MirrorServices = {
    storage,
    upstream,
    jobs,
    threads: undefined,
    now: () => world.nowMs,
    logger,
    ingestBytes: 8 << 20,
    cacheBytes: 4 << 20,
    refCheckIntervalMs: options.intervalMs ?? 0,
    maxMirrorBytes: options.maxMirrorBytes ?? 0,
    onMoved: options.onMoved ?? (() => undefined),
    ...(options.staging === undefined ? {} : { staging: options.staging }),
    ...(options.bitmapReads === undefined ? {} : { bitmapReads: options.bitmapReads }),
  };
  const world: World = {
    upstream,
    storage,
    logged,
    nowMs: 1_000_000_000,
    mirror: new Mirror(repository, services),
    jobs,
    restarted: () => new Mirror(repository, services),
    idle: async () => {
      for (let quiet = 0; quiet < 20; quiet++) {
        await new Promise((resolve) => setImmediate(resolve));
        const { running, waiting } = jobs.snapshot();
        if (running + waiting > 0) quiet = 0;
      }
    },
  };
  return world;
}

/** Asks for refs as a client that arrives now. */
export async function check(world: World, who: Asker = asker(), mirror: Mirror = world.mirror): Promise<RefsSnapshot> {
  world.nowMs += 2_000;
  const answer = await mirror.refs('branches', { arrivedAtMs: world.nowMs, asker: who });
  if (answer.kind !== 'known') throw new Error(`no refs: ${answer.failure.kind}`);
  await world.idle();
  return answer.check.refs;
}

export async function filled(world: World): Promise<void> {
  const refs = await check(world);
  world.mirror.fill({ refs, asker: asker() });
  await world.idle();
}

export async function keysOf(storage: Storage, prefix = ''): Promise<string[]> {
  return (await storage.list(prefix)).objects.map((one) => one.key);
}

export async function isHere(mirror: Mirror, oid: string): Promise<boolean> {
  const snapshot = await mirror.snapshot();
  const found = (snapshot?.store.find(oid) ?? -1) >= 0;
  snapshot?.release();
  return found;
}
