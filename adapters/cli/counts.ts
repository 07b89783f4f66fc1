/** `hotpack counts`: clone counts out of a key-value store and into one, without a server. */
import { createReadStream } from 'node:fs';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { defineCommand, type CommandDef } from 'citty';
import { resolveConfig, type Config } from '../../src/config.ts';
import { isHotpackError } from '../../src/bytes/error.ts';
import { exportClones, importClones, parseCloneLine, type CloneLine } from '../../src/popularity/histogram/transfer.ts';
import type { DriverStorage } from '../../src/storage/drivers/unstorage-driver.ts';
import type { Kv } from '../../src/storage/kv/contract.ts';
import { runtime } from '../deno/runtime.ts';
import { openKv } from '../open-kv.ts';
import { openStorage, storagePlace } from '../open-storage.ts';
import { rejectUnknown, UsageError } from './usage-error.ts';

const DAY_MS = 86_400_000;

const exportCommand: CommandDef = defineCommand({
  meta: { name: 'export', description: 'Write every count of HOTPACK_KV as lines of JSON.' },
  async run({ args }) {
    rejectUnknown(args, ['--json']);
    await withKv(async (kv, { keptDays }) => {
      const onMalformed = (key: string): void => void process.stderr.write(`passed over ${key}: it is no count\n`);
      for await (const line of exportClones(kv, { nowMs: Date.now(), keptDays, onMalformed })) {
        if (!process.stdout.write(`${JSON.stringify(line)}\n`)) await once(process.stdout, 'drain');
      }
    });
  },
});

const importArgs = {
  file: {
    type: 'positional',
    description: 'Lines of JSON, as export writes them; - reads standard input',
    required: true,
  },
  json: { type: 'boolean', description: 'What was imported, as JSON' },
} as const;

const importCommand: CommandDef<typeof importArgs> = defineCommand({
  meta: {
    name: 'import',
    description: 'Add counts to HOTPACK_KV. The same file imported twice counts once.',
  },
  args: importArgs,
  async run({ args }) {
    rejectUnknown(args, ['file', '--json']);
    const lines = await readLines(args.file);
    const imported = await withKv((kv, { keptDays }) => importClones(kv, lines, { now: Date.now, keptDays }));
    const { clones, skipped } = imported;
    const note = skipped === 0 ? '' : `; ${skipped} lines of days that are not kept, or yet to come, were passed over`;
    const text = `${clones} clones of ${imported.lines} lines${note}`;
    process.stdout.write(`${args.json ? JSON.stringify(imported) : text}\n`);
  },
});

export const counts: CommandDef = defineCommand({
  meta: { name: 'counts', description: 'Move clone counts between key-value stores.' },
  subCommands: { export: exportCommand, import: importCommand },
});

/** Reads all of the file before anything is written: a wrong line imports nothing. */
async function readLines(file: string): Promise<CloneLine[]> {
  const input = file === '-' ? process.stdin : createReadStream(file);
  const lines: CloneLine[] = [];
  let number = 0;
  try {
    await (file === '-' ? undefined : once(input, 'open'));
    for await (const text of createInterface({ input, crlfDelay: Infinity })) {
      const line = parseCloneLine(text, ++number);
      if (line !== undefined) lines.push(line);
    }
  } catch (error) {
    throw new Error(`${file}: ${(error as Error).message}`, { cause: error });
  }
  return lines;
}

async function withKv<T>(use: (kv: Kv, options: { readonly keptDays: number }) => Promise<T>): Promise<T> {
  const config = readConfig();
  const { kv: spec, storage: storageSpec } = config;
  if (spec.kind === 'memory' || (spec.kind === 'store' && storageSpec.kind === 'memory')) {
    throw new UsageError('HOTPACK_KV: memory: is seen by the server alone; counts need fs:, redis: or a bucket');
  }
  let storage: DriverStorage | undefined;
  const openStore = async (): Promise<DriverStorage> => (storage = await openStorage(storagePlace(config)));
  const kv = await openKv(spec, openStore);
  try {
    return await use(kv, { keptDays: Math.ceil(config.cloneRetentionMs / DAY_MS) });
  } finally {
    await kv.close();
    await storage?.close();
  }
}

function readConfig(): Config {
  try {
    return resolveConfig(process.env, { edge: false, hasDenoKv: runtime?.openKv !== undefined }).config;
  } catch (error) {
    if (isHotpackError(error, 'invalid_argument')) throw new UsageError(error.message);
    throw error;
  }
}
