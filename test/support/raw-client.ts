/**
 * Requests to a Git server byte by byte, for what git's own client cannot be told to send, and for readers that
 * stall, leave or count. Answers are taken apart with the tests' own pkt-line reader.
 */
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { mkdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cut, type Packet } from './pkt-lines.ts';
import { inflateSync } from 'node:zlib';
import { git, temporaryFolder, tryGit } from './git.ts';

export interface RawAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** `x-hotpack-source`, where the answer came from. */
  readonly source: string | undefined;
  readonly body: Buffer;
  /** False where the connection broke before the answer's end. */
  readonly complete: boolean;
}

export interface RawRequest {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  /** Leaves after so many bytes of the answer's body. */
  readonly leaveAfter?: number;
  /** Awaited before each chunk is taken: a reader at its own pace. */
  readonly pace?: (bytesSoFar: number) => Promise<void>;
  readonly timeoutMs?: number;
}

export function send(url: string, options: RawRequest = {}): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest(
      url,
      {
        method: options.method ?? (options.body === undefined ? 'GET' : 'POST'),
        headers: {
          ...options.headers,
          ...(options.body === undefined ? {} : { 'content-length': String(options.body.length) }),
        },
        agent: false,
      },
      (incoming) => {
        void collect(incoming, options).then((answer) => {
          clearTimeout(timer);
          outgoing.destroy();
          resolve(answer);
        }, reject);
      },
    );
    const timer = setTimeout(
      () => outgoing.destroy(new Error(`no answer from ${url} in time`)),
      options.timeoutMs ?? 60_000,
    );
    outgoing.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    outgoing.end(options.body);
  });
}

async function collect(incoming: IncomingMessage, options: RawRequest): Promise<RawAnswer> {
  const parts: Buffer[] = [];
  let bytes = 0;
  let complete = true;
  try {
    await options.pace?.(0);
    for await (const chunk of incoming as AsyncIterable<Buffer>) {
      parts.push(chunk);
      bytes += chunk.length;
      if (options.leaveAfter !== undefined && bytes >= options.leaveAfter) {
        complete = false;
        break;
      }
      await options.pace?.(bytes);
    }
  } catch {
    complete = false;
  }
  const source = incoming.headers['x-hotpack-source'];
  return {
    status: incoming.statusCode ?? 0,
    headers: incoming.headers,
    source: typeof source === 'string' ? source : undefined,
    body: Buffer.concat(parts),
    complete: complete && incoming.complete,
  };
}

export type Protocol = 0 | 1 | 2;

function protocolHeader(protocol: Protocol): Record<string, string> {
  return protocol === 0 ? {} : { 'git-protocol': `version=${protocol}` };
}

export function getRefs(repositoryUrl: string, protocol: Protocol, options: RawRequest = {}): Promise<RawAnswer> {
  return send(`${repositoryUrl}/info/refs?service=git-upload-pack`, {
    ...options,
    headers: { ...protocolHeader(protocol), ...options.headers },
  });
}

export function postUploadPack(
  repositoryUrl: string,
  protocol: Protocol,
  body: Uint8Array,
  options: RawRequest = {},
): Promise<RawAnswer> {
  return send(`${repositoryUrl}/git-upload-pack`, {
    ...options,
    body,
    headers: {
      'content-type': 'application/x-git-upload-pack-request',
      accept: 'application/x-git-upload-pack-result',
      ...protocolHeader(protocol),
      ...options.headers,
    },
  });
}

export interface FetchAnswer {
  /** Lines before the pack, as text: ACK, NAK, section names, shallow lines; flush and delimiter as `0000`, `0001`. */
  readonly lines: readonly string[];
  readonly pack: Buffer;
  /** Side-band 2 as text. */
  readonly progress: string;
  /** Side-band 3 or an ERR packet. */
  readonly error: string | undefined;
  /** The largest side-band packet's payload, band byte included; 0 where none. */
  readonly largestPacket: number;
}

function textOf(one: Packet): string {
  if (one.kind === 'data') return one.payload.toString('utf8').replace(/\n$/, '');
  return one.kind === 'flush' ? '0000' : one.kind === 'delimiter' ? '0001' : '0002';
}

/** Takes a fetch's answer apart, whatever its framing: side-band packets, or a raw pack after the acknowledgements. */
export function readFetchAnswer(bytes: Buffer, framing: 'side-band' | 'raw'): FetchAnswer {
  const { packets, rest } = cut(bytes);
  const before: string[] = [];
  const pack: Buffer[] = [];
  let progress = '';
  let error: string | undefined;
  let largestPacket = 0;
  for (const one of packets) {
    const band = one.kind === 'data' ? one.payload[0] : undefined;
    if (one.kind === 'data' && framing === 'side-band' && (band === 1 || band === 2 || band === 3)) {
      const content = one.payload.subarray(1);
      largestPacket = Math.max(largestPacket, one.payload.length);
      if (band === 1) pack.push(content);
      else if (band === 2) progress += content.toString('utf8');
      else error = content.toString('utf8').trim();
      continue;
    }
    const line = textOf(one);
    if (line.startsWith('ERR ')) error = line.slice(4);
    before.push(line);
  }
  if (framing === 'raw') pack.push(rest);
  return { lines: before, pack: Buffer.concat(pack), progress, error, largestPacket };
}

/**
 * Indexes a pack with git (completing a thin one from `basesFolder`) and gives the ids of its objects, sorted.
 * Bases that only completed the pack count too, as they do in a clone.
 */
export async function objectsOfPack(pack: Buffer, basesFolder?: string): Promise<string[]> {
  const folder = join(temporaryFolder('pack'), 'repository.git');
  mkdirSync(folder);
  await git(['init', '-q', '--bare', folder]);
  const env: Record<string, string> =
    basesFolder === undefined ? {} : { GIT_ALTERNATE_OBJECT_DIRECTORIES: join(basesFolder, 'objects') };
  const indexed = await tryGit(['index-pack', '--stdin', '--fsck-objects', '--fix-thin'], {
    cwd: folder,
    env,
    input: pack,
  });
  if (indexed.code !== 0) throw new Error(`git index-pack refuses the pack: ${indexed.stderr}`);
  const name = /[0-9a-f]{40}/.exec(indexed.stdout)?.[0] ?? '';
  const listed = await git(['show-index'], { cwd: folder, input: await readIndex(folder, name) });
  return listed
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.split(' ')[1] ?? '')
    .sort();
}

function readIndex(folder: string, name: string): Promise<Buffer> {
  return readFile(join(folder, 'objects', 'pack', `pack-${name}.idx`));
}

/** The type of each pack entry from the front, without following deltas: shows thin packs and delta kinds. */
export function describePack(pack: Buffer): {
  readonly objects: number;
  readonly refDeltas: number;
  readonly ofsDeltas: number;
} {
  if (pack.toString('latin1', 0, 4) !== 'PACK') throw new Error('no pack');
  const objects = pack.readUInt32BE(8);
  let at = 12;
  let refDeltas = 0;
  let ofsDeltas = 0;
  for (let n = 0; n < objects; n++) {
    let byte = pack[at++] ?? 0;
    const type = (byte >> 4) & 7;
    while (byte & 0x80) byte = pack[at++] ?? 0;
    if (type === 6) {
      ofsDeltas += 1;
      while ((pack[at++] ?? 0) & 0x80);
    } else if (type === 7) {
      refDeltas += 1;
      at += 20;
    }
    const { engine } = inflateSync(pack.subarray(at), { info: true }) as unknown as {
      engine: { bytesWritten: number };
    };
    at += engine.bytesWritten;
  }
  if (at !== pack.length - 20) throw new Error(`entries end at ${at}, the trailer begins at ${pack.length - 20}`);
  return { objects, refDeltas, ofsDeltas };
}
