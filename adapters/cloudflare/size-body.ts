/** Bodies whose length workerd declares: it does so for its own streams alone, whatever a header says. */
import type { SizeBody } from '../../src/serve/body/size-body.ts';

declare const FixedLengthStream: new (bytes: number) => TransformStream<Uint8Array, Uint8Array>;

export const sizeBody: SizeBody = ({ start, rest, bytes }) => {
  const { readable, writable } = new FixedLengthStream(bytes);
  // Where it fails, the stream breaks before its length, and that is what the client sees.
  send(writable, start, rest).catch(() => undefined);
  return readable;
};

async function send(
  writable: WritableStream<Uint8Array>,
  start: Uint8Array,
  rest: ReadableStream<Uint8Array>,
): Promise<void> {
  if (start.length > 0) {
    const writer = writable.getWriter();
    try {
      await writer.write(start);
    } catch (error) {
      await rest.cancel(error);
      throw error;
    }
    writer.releaseLock();
  }
  await rest.pipeTo(writable);
}
