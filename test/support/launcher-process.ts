/**
 * Starts programs for tests, in a process that stays small: who starts one pays for every page that he holds himself, and what runs
 * tests comes to hold 300 MB (50 ms a program instead of 6). Listens at the socket that its first argument names, and ends when its
 * standard input does. What goes over a connection: `launch.ts`.
 */
import { spawn } from 'node:child_process';
import { createServer, type Socket } from 'node:net';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { frame, ORDER_END, type FrameKind, type Order } from './launch.ts';

process.stdin.on('end', () => process.exit()).resume();
createServer({ allowHalfOpen: true }, takeOrder).listen(process.argv[2], () => process.stdout.write('listening\n'));

function takeOrder(socket: Socket): void {
  let head: Buffer = Buffer.alloc(0);
  const onData = (chunk: Buffer): void => {
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf(ORDER_END);
    if (end < 0) return;
    socket.off('data', onData).pause();
    if (end + 1 < head.length) socket.unshift(head.subarray(end + 1));
    void launch(JSON.parse(head.toString('utf8', 0, end)) as Order, socket);
  };
  socket.on('data', onData).on('error', () => undefined); // who ordered it may leave
}

async function launch({ program, args, cwd, env }: Order, socket: Socket): Promise<void> {
  const child = spawn(program, args, { cwd, env, stdio: 'pipe' });
  const ended = new Promise<string>((resolve) => {
    child.on('error', (error) => resolve(error.message)).on('exit', (code) => resolve(String(code ?? -1)));
  });
  socket.on('close', () => child.kill('SIGKILL'));
  child.stdin.on('error', () => socket.resume()); // it may end without reading its input
  socket.pipe(child.stdin);
  const send = (kind: FrameKind, from: NodeJS.ReadableStream): Promise<void> =>
    pipeline(from, framed(kind), socket, { end: false }).catch(() => undefined);
  await Promise.all([send('stdout', child.stdout), send('stderr', child.stderr)]);
  socket.end(frame('end', Buffer.from(await ended)));
}

function framed(kind: FrameKind): Transform {
  return new Transform({ transform: (chunk: Buffer, _encoding, done) => done(null, frame(kind, chunk)) });
}
