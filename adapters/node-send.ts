/**
 * Bodies on their way to the socket, in place of srvx's own loop. One that lies in memory (`bytes/whole-body.ts`) goes out with its
 * head in a single call, its length declared. Of any other a chunk is written, and when the system has taken it its memory
 * is given back (`bytes/give-back.ts`) before the next one is asked for. A client that leaves cancels the body; a body that
 * fails cuts the connection.
 */
import type { ServerResponse } from 'node:http';
import type { serve } from 'h3/node';
import { giveBack } from '../src/bytes/give-back.ts';
import { type BodyEnd, WholeBody } from '../src/bytes/whole-body.ts';

/** Smaller chunks are not waited for one by one while the socket takes more. */
const WAITED_FOR_BYTES = 64 * 1024;

/** Everything was sent: srvx finds nothing left to do. */
const SENT = new Response(null);

type Middleware = NonNullable<NonNullable<Parameters<typeof serve>[1]>['middleware']>[number];

export const sendBodies: Middleware = async (request, next) => {
  const response = await next();
  const sink = request.runtime?.node?.res as ServerResponse | undefined;
  const { body } = response;
  if (sink === undefined || body === null || request.method === 'HEAD') return response;
  if (body instanceof WholeBody) await sendWhole(response, body, sink);
  else await sendBody(response, body, sink);
  return SENT;
};

/** Resolves when the answer was handed to the system, or is not wanted any more. */
export async function sendBody(head: Response, body: ReadableStream<Uint8Array>, sink: ServerResponse): Promise<void> {
  const reader = body.getReader();
  const onClose = (): void => void reader.cancel().catch(() => undefined);
  if (sink.destroyed) return onClose();
  sink.once('close', onClose);
  try {
    writeHead(sink, head);
    for (;;) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other is what a stream is
      const { done, value } = await reader.read();
      if (done) break;
      // oxlint-disable-next-line no-await-in-loop
      await write(sink, value);
      if (sink.destroyed) return;
    }
    sink.end();
  } catch (error) {
    reader.cancel(error).catch(() => undefined);
    sink.destroy(error as Error);
  } finally {
    sink.off('close', onClose);
  }
}

/** The same for a body that lies in memory. */
export async function sendWhole(head: Response, body: WholeBody, sink: ServerResponse): Promise<void> {
  if (sink.destroyed) return body.settle(0, 'left');
  const bytes = body.parts.reduce((sum, part) => sum + part.length, 0);
  const end = new Promise<BodyEnd>((resolve) => {
    sink.once('finish', () => resolve('ended'));
    sink.once('close', () => resolve('left'));
  });
  writeHead(sink, head, bytes);
  // Node gathers what is written in one turn.
  for (const part of body.parts) sink.write(part);
  sink.end();
  body.settle(bytes, await end);
}

function writeHead(sink: ServerResponse, { status, statusText, headers }: Response, bytes?: number): void {
  const fields = [...headers].flat();
  if (bytes !== undefined && !headers.has('content-length')) fields.push('content-length', String(bytes));
  // Without a phrase Node says its own.
  if (statusText === '') sink.writeHead(status, fields);
  else sink.writeHead(status, statusText, fields);
}

/** Resolves when the next chunk may come, also where none is wanted any more. */
function write(sink: ServerResponse, chunk: Uint8Array): Promise<void> {
  return new Promise((resolve) => {
    const onEnd = (): void => {
      sink.off('close', onEnd);
      resolve();
    };
    sink.once('close', onEnd);
    const hasRoom = sink.write(chunk, (error) => {
      // What was not written may still be looked at.
      if (error === undefined || error === null) giveBack(chunk);
      onEnd();
    });
    if (hasRoom && chunk.length < WAITED_FOR_BYTES) onEnd();
  });
}
