/** Whether upstream's own answer is a pack or its refusal: both are 200. */
const ERROR_LINE = new TextEncoder().encode('ERR ');
const LENGTH_BYTES = 4;

/** The same bytes. `onAccepted` is called once when the first of them have come and are no `ERR` packet. */
export function tellAccepted(body: ReadableStream<Uint8Array>, onAccepted: () => void): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  let head: Uint8Array | undefined = new Uint8Array(0);
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await reader.read();
        if (done) return controller.close();
        if (head !== undefined) {
          head = joined(head, value);
          if (head.length >= LENGTH_BYTES + ERROR_LINE.length) {
            const start = head;
            if (!ERROR_LINE.every((byte, i) => start[LENGTH_BYTES + i] === byte)) onAccepted();
            head = undefined;
          }
        }
        controller.enqueue(value);
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  );
}

function joined(head: Uint8Array, chunk: Uint8Array): Uint8Array {
  const both = new Uint8Array(Math.min(head.length + chunk.length, LENGTH_BYTES + ERROR_LINE.length));
  both.set(head);
  both.set(chunk.subarray(0, both.length - head.length), head.length);
  return both;
}
