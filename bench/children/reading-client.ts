/**
 * Child process: a client that only reads. argv[2] is a `Job` in JSON. Asks the job's questions in turns, one after the other in
 * each, `times` turns, `atOnce` of them at the same time. Where it is timed it looks at the ends of answers alone; where
 * `keep` is set, packs are cut out of their side-band packets. Prints one JSON line, a `Report`.
 */
import { createWriteStream, readFileSync } from 'node:fs';
import { once } from 'node:events';
import { Agent, request, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { PackCutter } from './pack-cutter.ts';

export interface Question {
  readonly method: 'GET' | 'POST';
  /** Below the repository: `git-upload-pack`. */
  readonly path: string;
  /** File that holds the body. */
  readonly body?: string;
  readonly hasPack: boolean;
}

export interface Job {
  readonly url: string;
  readonly questions: readonly Question[];
  readonly times: number;
  readonly atOnce: number;
  /** Folder for the bodies as they came, `0`, `1`, … by question. */
  readonly record?: string;
  /** File for the pack alone. */
  readonly keep?: string;
}

export interface Turn {
  readonly ms: number;
  readonly firstByteMs: number;
}

export interface Report {
  /** From the first to the last byte of all. */
  readonly ms: number;
  /** Of each turn, in the order in which they ended. */
  readonly each: readonly Turn[];
  readonly failures: readonly string[];
  /** Of one turn: bodies, and objects that the packs declare. */
  readonly bytes: number;
  readonly objects: number | undefined;
}

const FLUSH = Buffer.from('0000');

const job = JSON.parse(process.argv[2] as string) as Job;
const agent = new Agent({ keepAlive: true, maxSockets: job.atOnce });
const bodies = job.questions.map(({ body }) => (body === undefined ? undefined : readFileSync(body)));
const each: Turn[] = [];
const failures: string[] = [];
let bytes = 0;
let objects: number | undefined;
let turns = 0;

const startedAtMs = performance.now();
await Promise.all(Array.from({ length: Math.min(job.atOnce, job.times) }, askAgain));
const ms = performance.now() - startedAtMs;
agent.destroy();
console.log(JSON.stringify({ ms, each, failures, bytes, objects } satisfies Report));

async function askAgain(): Promise<void> {
  while (turns < job.times) {
    turns++;
    try {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await askAll();
    } catch (error) {
      failures.push((error as Error).message);
    }
  }
}

async function askAll(): Promise<void> {
  const began = performance.now();
  let firstByteMs = 0;
  let total = 0;
  for (const [number, question] of job.questions.entries()) {
    const asked = performance.now();
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const incoming = await send(question, bodies[number]);
    // oxlint-disable-next-line no-await-in-loop
    const read = await readAnswer(incoming, question, number, asked);
    firstByteMs += read.firstByteMs;
    total += read.bytes;
  }
  bytes = total;
  each.push({ ms: performance.now() - began, firstByteMs });
}

async function send(question: Question, body: Buffer | undefined): Promise<IncomingMessage> {
  const headers = {
    'git-protocol': 'version=2',
    ...(body === undefined
      ? {}
      : { 'content-type': 'application/x-git-upload-pack-request', 'content-length': String(body.length) }),
  };
  const outgoing = request(`${job.url}/${question.path}`, { method: question.method, headers, agent });
  outgoing.end(body);
  const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage];
  if (incoming.statusCode !== 200) throw new Error(`${incoming.statusCode} from ${job.url}/${question.path}`);
  return incoming;
}

async function readAnswer(
  incoming: IncomingMessage,
  question: Question,
  number: number,
  asked: number,
): Promise<{ firstByteMs: number; bytes: number }> {
  const cutter = question.hasPack && job.keep !== undefined ? new PackCutter(job.keep) : undefined;
  let last: Buffer | undefined;
  const recorded = job.record === undefined ? undefined : createWriteStream(join(job.record, String(number)));
  let read = 0;
  let firstByteMs: number | undefined;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    firstByteMs ??= performance.now() - asked;
    read += chunk.length;
    last = chunk;
    recorded?.write(chunk);
    await cutter?.take(chunk);
  }
  if (question.hasPack && last?.subarray(-FLUSH.length).equals(FLUSH) !== true) throw new Error('an answer was cut');
  await cutter?.end();
  objects = cutter?.objects ?? objects;
  recorded?.end();
  if (recorded !== undefined) await once(recorded, 'finish');
  return { firstByteMs: firstByteMs ?? performance.now() - asked, bytes: read };
}
