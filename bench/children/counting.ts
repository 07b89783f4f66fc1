/**
 * Child process: counts one and the same depth-1 fetch over and over, argv[2] times, as the server does for each request.
 * Prints one JSON line: processor time of one, in ms, a flush at the end included.
 */
import { createMemoryStorage } from '../../src/storage/drivers/memory.ts';
import { openKv } from '../../adapters/open-kv.ts';
import { isClone } from '../../src/popularity/is-clone.ts';
import { createInstanceName, createPopularity } from '../../src/popularity/popularity.ts';
import { requestShape } from '../../src/popularity/request-shape.ts';
import { parseV2Command } from '../../src/protocol/v2-command.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';

const times = Number(process.argv[2]);
const oid = 'a'.repeat(40);
const lines = ['command=fetch', '0001', 'ofs-delta', `want ${oid}`, 'deepen 1', 'done', '0000'];
const body = lines
  .map((line) => (/^000[01]$/.test(line) ? line : `${(line.length + 5).toString(16).padStart(4, '0')}${line}\n`))
  .join('');
const command = parseV2Command(new TextEncoder().encode(body));
if (command.kind !== 'fetch') throw new Error('no fetch');
const { request } = command;
const shown = new Set([oid]);
const popularity = createPopularity(
  {
    kv: await openKv({ kind: 'memory' }, async () => createMemoryStorage()),
    instance: createInstanceName(),
    now: Date.now,
    logger: { debug() {}, info() {}, warn() {}, error() {} },
    metrics: createMetrics(),
  },
  { flushIntervalMs: 5_000, retentionMs: 90 * 86_400_000 },
);
const isAdvertised = (name: string): boolean => shown.has(name);
const count = (): void => {
  popularity.countFetch({
    repo: 'bench/repository',
    isClone: isClone(request, { isAdvertised, typeHere: () => undefined }),
    shape: requestShape(request, { isAdvertised, headOid: oid }),
  });
  popularity.countAnswer('bench/repository', 'pack-cache', 1_000_000);
};
const before = process.cpuUsage();
for (let n = 0; n < times; n++) count();
await popularity.flush();
const { user, system } = process.cpuUsage(before);
console.log(JSON.stringify({ cpuMs: (user + system) / 1_000 / times }));
process.exit(0);
