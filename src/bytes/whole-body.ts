/**
 * A body that lies in memory before it begins. Who knows of it takes all of its parts at once, and no read, promise or copy is spent
 * on them; to everyone else it is a stream that gives one part after the other.
 */
export class WholeBody extends ReadableStream<Uint8Array> {
  /** May be shared with other bodies: not to be written to, and not to be given back. */
  readonly parts: readonly Uint8Array[];
  readonly #ending: { listener?: OnEnd };

  constructor(parts: readonly Uint8Array[]) {
    const ending: { listener?: OnEnd } = {};
    let given = 0;
    let bytes = 0;
    super(
      {
        pull: (controller) => {
          const part = parts[given++];
          if (part === undefined) {
            controller.close();
            ending.listener?.(bytes, 'ended');
          } else {
            bytes += part.length;
            controller.enqueue(part);
          }
        },
        cancel: () => ending.listener?.(bytes, 'left'),
      },
      { highWaterMark: 0 },
    );
    this.parts = parts;
    this.#ending = ending;
  }

  /** `listener` takes the place of an earlier one. It is called once and must not throw. */
  onEnd(listener: OnEnd): void {
    this.#ending.listener = listener;
  }

  /** By whoever took the parts in place of reading the stream. */
  settle(bytes: number, end: BodyEnd): void {
    this.#ending.listener?.(bytes, end);
  }
}

/** By its last byte, or since its client left. */
export type BodyEnd = 'ended' | 'left';

/** `bytes`: how many were taken. */
type OnEnd = (bytes: number, end: BodyEnd) => void;
