/**
 * Bodies on their way to the socket, in place of srvx's own loop: a chunk is written, and when the system has taken it its memory
 * is given back (`bytes/give-back.ts`) before the next one is asked for. A client that leaves cancels the body; a body that
 * fails cuts the connection.
 */
import type { ServerResponse } from 'node:http';
import type { serve } from 'h3/node';
import { giveBack } from '../src/bytes/give-back.ts';

/** Smaller chunks are not waited for one by one while the socket takes more. */
const WAITED_FOR_BYTES = 64 * 1024;

type Middleware = NonNullable<NonNullable<Parameters<typeof serve>[1]>['middleware']>[number];

export const sendBodies: Middleware = async (request, next) => {
  const response = await next();
  const sink = request.runtime?.node?.res;
  if (sink === undefined || response.body === null || request.method === 'HEAD') return response;
  await sendBody(response, response.body, sink as ServerResponse);
  // Everything was sent: srvx finds nothing left to do.
  return new Response(null);
};

/** Resolves when the answer was handed to the system, or is not wanted any more. */
export async function sendBody(
  { status, statusText, headers }: Response,
  body: ReadableStream<Uint8Array>,
  sink: ServerResponse,
): Promise<void> {
  const reader = body.getReader();
  const onClose = (): void => void reader.cancel().catch(() => undefined);
  if (sink.destroyed) return onClose();
  sink.once('close', onClose);
  try {
    sink.writeHead(status, statusText, [...headers].flat());
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
