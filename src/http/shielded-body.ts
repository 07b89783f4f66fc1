/**
 * A request's body that may be given up at any moment. Node's own one may not: cancelled while data flows in, it throws
 * outside of everyone's reach and ends the process. So cancelling stops here; what was not read stays where it is, the
 * sender is held back, and the runtime drops it with the connection. Nothing is touched before the first read.
 */
export function shieldedBody(request: Request): ReadableStream<Uint8Array> | null {
  return request.method === 'GET' || request.method === 'HEAD' ? null : shieldedStream(() => request.body);
}

/** `open`: called with the first read. */
export function shieldedStream(open: () => ReadableStream<Uint8Array> | null): ReadableStream<Uint8Array> {
  let reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  let empty = false;
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        if (reader === undefined && !empty) {
          reader = open()?.getReader();
          empty = reader === undefined;
        }
        const next = await reader?.read();
        if (next === undefined || next.done) controller.close();
        else controller.enqueue(next.value);
      },
    },
    { highWaterMark: 0 },
  );
}
