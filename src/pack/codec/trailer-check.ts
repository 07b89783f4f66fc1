/**
 * Whether the bytes of a pack end in their own checksum (gitformat-pack, "pack-*.pack files have the following format"), told
 * as they pass by. Memory: 20 bytes and a hash.
 */
import { OID_BYTES } from '../../bytes/oid.ts';
import { createSha1 } from '../../bytes/sha1.ts';

export class TrailerCheck {
  readonly #sha1 = createSha1();
  /** The last bytes so far, at most 20: the trailer if nothing follows. */
  #tail: Uint8Array = new Uint8Array(0);

  update(chunk: Uint8Array): void {
    if (chunk.length >= OID_BYTES) {
      this.#sha1.update(this.#tail);
      this.#sha1.update(chunk.subarray(0, chunk.length - OID_BYTES));
      this.#tail = chunk.slice(chunk.length - OID_BYTES);
      return;
    }
    const joined = new Uint8Array(this.#tail.length + chunk.length);
    joined.set(this.#tail);
    joined.set(chunk, this.#tail.length);
    const cut = Math.max(0, joined.length - OID_BYTES);
    this.#sha1.update(joined.subarray(0, cut));
    this.#tail = joined.slice(cut);
  }

  /** To be called once, behind the last byte. */
  matches(): boolean {
    const digest = this.#sha1.digest();
    return this.#tail.length === OID_BYTES && digest.every((byte, i) => byte === this.#tail[i]);
  }
}
