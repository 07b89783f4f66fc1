/**
 * Programs of tests, started by a small process beside the one that runs them (`launcher-process.ts`). A connection to it is one
 * program: the order as JSON and a zero byte, then the program's input until this side ends; back come frames of a kind, a length
 * and so many bytes. Where this side leaves, the program is killed.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';

export interface Order {
  readonly program: string;
  readonly args: readonly string[];
  readonly cwd?: string | undefined;
  readonly env: Readonly<Record<string, string>>;
}

const KINDS = ['stdout', 'stderr', 'end'] as const;
export type FrameKind = (typeof KINDS)[number];

/** Behind an order. JSON holds none. */
export const ORDER_END = 0;

const HEADER_BYTES = 5;

export function frame(kind: FrameKind, bytes: Uint8Array): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header[0] = KINDS.indexOf(kind);
  header.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([header, bytes]);
}

export type Printed =
  | { readonly kind: 'stdout' | 'stderr'; readonly bytes: Buffer }
  /** The exit code, -1 where a signal ended it. */
  | { readonly kind: 'end'; readonly code: number };

export interface Launched {
  readonly stdin: Writable;
  /** As it is taken. */
  readonly output: AsyncGenerator<Printed>;
  /** By SIGKILL. */
  readonly kill: () => void;
}

export async function launch(order: Order): Promise<Launched> {
  listening ??= startLauncher();
  const socket = connect({ path: await listening, allowHalfOpen: true });
  socket.on('error', () => undefined); // it may end without reading its input; what is lost is told by the output
  socket.write(Buffer.concat([Buffer.from(JSON.stringify(order)), Uint8Array.of(ORDER_END)]));
  return { stdin: socket, output: outputOf(socket, order), kill: () => void socket.destroy() };
}

let listening: Promise<string> | undefined;

async function startLauncher(): Promise<string> {
  const path = join(mkdtempSync(join(tmpdir(), 'hotpack-launcher-')), 'socket');
  const program = fileURLToPath(new URL('./launcher-process.ts', import.meta.url));
  // Small for good: what it passes on is garbage at once.
  const flags = ['--max-semi-space-size=1', '--max-old-space-size=32'];
  const child = spawn(process.execPath, [...flags, program, path], { stdio: ['pipe', 'pipe', 'inherit'] });
  await Promise.race([
    once(child.stdout, 'data'),
    once(child, 'exit').then(([code]) => {
      throw new Error(`the launcher of programs ended with ${code}`);
    }),
  ]);
  // It ends with this process, which does not wait for it.
  child.unref();
  for (const stream of [child.stdin, child.stdout]) (stream as unknown as Socket).unref();
  return path;
}

async function* outputOf(socket: Socket, { program, args }: Order): AsyncGenerator<Printed> {
  let held: Buffer = Buffer.alloc(0);
  try {
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
      while (held.length >= HEADER_BYTES) {
        const end = HEADER_BYTES + held.readUInt32BE(1);
        if (held.length < end) break;
        const kind = KINDS[held[0] as number] as FrameKind;
        const bytes = held.subarray(HEADER_BYTES, end);
        held = held.subarray(end);
        if (kind !== 'end') {
          yield { kind, bytes };
          continue;
        }
        const said = bytes.toString('utf8');
        if (!/^-?\d+$/.test(said)) throw new Error(`${program} ${args.join(' ')} cannot be started: ${said}`);
        yield { kind, code: Number(said) };
        return;
      }
    }
  } catch (error) {
    // Killed.
    if ((error as NodeJS.ErrnoException).code !== 'ERR_STREAM_PREMATURE_CLOSE') throw error;
  } finally {
    socket.destroy();
  }
  yield { kind: 'end', code: -1 };
}
