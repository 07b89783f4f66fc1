/** Where the app runs in the contract suite: a runtime, what it keeps things in, and what both are started with. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { denoCommand, DENO_ON_DEPLOY } from '../../support/deno.ts';
import { temporaryFolder } from '../../support/git.ts';
import { Hotpack, type HotpackOptions } from '../../support/hotpack.ts';
import { openNamedS3, withoutNamedS3 } from '../../support/named-s3.ts';
import { startS3Server } from '../../support/s3-server.ts';
import { importCounts, type Count } from '../warming.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const node = join(root, 'node_modules', 'node', 'bin', 'node');
const nodeCommand = [node, join(root, 'dist/adapters/node.js')];

/** One store, and what is started over it. */
export interface Place {
  /** Not started. Servers of one place share all that they keep. */
  server(options: Pick<HotpackOptions, 'upstreams' | 'env'>): Hotpack;
  importCounts(counts: readonly Count[]): Promise<void>;
  close(): Promise<void>;
}

export interface Runtime {
  /** With why it is skipped, where it is. */
  readonly name: string;
  readonly isSkipped?: boolean;
  /**
   * True on Workers. Upstream sends a client there what is not here, and not only what is new. A fill that was killed is begun again
   * when its claim has run out, after a minute.
   */
  readonly isEdge: boolean;
  /** The platform that the runtime is for kills so long after SIGINT. */
  readonly killsAfterMs?: number;
  /** The whole table of operations is played on it elsewhere. */
  readonly hasOwnTable?: true;
  readonly open: () => Promise<Place>;
}

interface Recipe {
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** What runs `hotpack counts`; default: Node. */
  readonly program?: readonly string[];
  readonly close?: (() => Promise<void>) | undefined;
}

function placeOf({ command, env, program, close }: Recipe): Place {
  const folder = temporaryFolder('store');
  const kept = { HOTPACK_STORAGE: `fs:${folder}`, ...env };
  const servers: Hotpack[] = [];
  return {
    server(options) {
      const settings = { ...env, ...options.env };
      const one = new Hotpack({ ...options, env: settings, folder, command, adminToken: 'the-admin-token' });
      servers.push(one);
      return one;
    },
    importCounts: (counts) => importCounts(kept, counts, program),
    async close() {
      try {
        for (const one of servers) await one.stop();
      } finally {
        await close?.();
      }
    },
  };
}

type BucketRecipe = Pick<Recipe, 'env' | 'close'>;

/** A bucket of its own. */
async function openBucket(): Promise<BucketRecipe> {
  const server = await startS3Server();
  return { env: server.env(), close: () => server.stop() };
}

/** A prefix of its own in a server that is not the tests'. */
async function openNamedBucket(): Promise<BucketRecipe> {
  const { env, clear } = openNamedS3();
  return { env, close: clear };
}

async function nodeOver(bucket: Promise<BucketRecipe>): Promise<Place> {
  return placeOf({ command: nodeCommand, ...(await bucket) });
}

async function denoOver(bucket: Promise<BucketRecipe>): Promise<Place> {
  const { env, close } = await bucket;
  return placeOf({
    command: denoCommand(),
    env: { ...env, HOTPACK_KV: `deno:${join(temporaryFolder('kv'), 'kv.sqlite3')}` },
    program: [DENO_ON_DEPLOY, 'run', '-A', '--unstable-kv', '--no-config'],
    close,
  });
}

export const RUNTIMES: readonly Runtime[] = [
  {
    name: 'Node over a folder',
    isEdge: false,
    hasOwnTable: true,
    open: () => Promise.resolve(placeOf({ command: nodeCommand, env: {} })),
  },
  { name: 'Node over S3', isEdge: false, open: () => nodeOver(openBucket()) },
  {
    name: 'Deno over S3 and its own key-value store',
    isEdge: false,
    killsAfterMs: 5_000,
    open: () => denoOver(openBucket()),
  },
  {
    name: 'workerd over R2, Workers KV and a queue',
    isEdge: true,
    open: () => Promise.resolve(placeOf({ command: [node, join(root, 'adapters/dev/cloudflare.ts')], env: {} })),
  },
  {
    name: `Node over any S3${withoutNamedS3}`,
    isSkipped: withoutNamedS3 !== '',
    isEdge: false,
    open: () => nodeOver(openNamedBucket()),
  },
  {
    name: `Deno over any S3 and its own key-value store${withoutNamedS3}`,
    isSkipped: withoutNamedS3 !== '',
    isEdge: false,
    open: () => denoOver(openNamedBucket()),
  },
];
