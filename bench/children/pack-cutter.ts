/** The pack out of a v2 fetch answer: side-band packets cut apart as they come. The pack goes to a file. */
import { once } from 'node:events';
import { createWriteStream, type WriteStream } from 'node:fs';

const HEADER_BYTES = 4;
const PACK_HEAD_BYTES = 12;
const PACK_BAND = 1;

export class PackCutter {
  readonly #keep: WriteStream;
  #packHead = Buffer.alloc(0);
  #ended = false;
  /** Of a packet: its length and the first byte of its data, which names the band. */
  #head = Buffer.alloc(0);
  #left = 0;
  /** Of a packet that is no pack data; undefined within one that is. */
  #text: Buffer[] | undefined;

  /** `keepAt`: where the pack goes. */
  constructor(keepAt: string) {
    this.#keep = createWriteStream(keepAt);
  }

  /** How many objects the pack declares. */
  get objects(): number {
    return this.#packHead.readUInt32BE(8);
  }

  async take(chunk: Buffer): Promise<void> {
    for (let at = 0; at < chunk.length;) {
      if (this.#left === 0) {
        at += this.#takeHead(chunk, at);
        continue;
      }
      const piece = chunk.subarray(at, at + this.#left);
      at += piece.length;
      this.#left -= piece.length;
      if (this.#text !== undefined) this.#text.push(piece);
      // oxlint-disable-next-line no-await-in-loop -- a file takes one after the other
      else await this.#takePack(piece);
      if (this.#left > 0) continue;
      this.#head = Buffer.alloc(0);
      const line = this.#text === undefined ? '' : Buffer.concat(this.#text).toString('utf8');
      if (line.startsWith('\u0003') || line.startsWith('ERR ')) throw new Error(line);
    }
  }

  /** Rejects where the answer was not whole. */
  async end(): Promise<void> {
    if (!this.#ended || this.#packHead.toString('latin1', 0, 4) !== 'PACK') {
      throw new Error('an answer without a whole pack');
    }
    this.#keep.end();
    await once(this.#keep, 'finish');
  }

  /** How many bytes belonged to the head. */
  #takeHead(chunk: Buffer, at: number): number {
    const wanted = this.#head.length < HEADER_BYTES ? HEADER_BYTES - this.#head.length : 1;
    const part = chunk.subarray(at, at + wanted);
    this.#head = Buffer.concat([this.#head, part]);
    if (this.#head.length < HEADER_BYTES) return part.length;
    const length = Number.parseInt(this.#head.toString('latin1', 0, HEADER_BYTES), 16);
    if (length <= HEADER_BYTES) {
      this.#ended = length === 0;
      this.#head = Buffer.alloc(0);
      return part.length;
    }
    if (this.#head.length === HEADER_BYTES) return part.length;
    this.#left = length - HEADER_BYTES - 1;
    this.#text = this.#head[HEADER_BYTES] === PACK_BAND ? undefined : [this.#head.subarray(HEADER_BYTES)];
    if (this.#left === 0) this.#head = Buffer.alloc(0);
    return part.length;
  }

  async #takePack(piece: Buffer): Promise<void> {
    if (this.#packHead.length < PACK_HEAD_BYTES) {
      this.#packHead = Buffer.concat([this.#packHead, piece.subarray(0, PACK_HEAD_BYTES - this.#packHead.length)]);
    }
    if (!this.#keep.write(piece)) await once(this.#keep, 'drain');
  }
}
