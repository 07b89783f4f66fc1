/**
 * Takes an answer into the store while its client reads it: what he is given is written first. Whether it is kept is decided
 * when it has come to its end; one whose client leaves before, that grows too long or whose store does not keep up
 * leaves nothing behind.
 */
import { sleep } from '../../bytes/abort.ts';
import { HotpackError } from '../../bytes/error.ts';
import type { AnswerSpool } from '../stored/answer-spool.ts';

/** How long a client waits for a store that takes nothing. */
const PATIENCE_MS = 5_000;

export interface KeptAnswer {
  readonly openSpool: () => Promise<AnswerSpool>;
  /** Of its packets. An event has so many requests to the store, and every 5 MiB take three. */
  readonly maxBytes: number;
  /** Keeps what is whole, or does not. Rejects where the store fails. */
  readonly keep: (spool: AnswerSpool, packBytes: number) => Promise<void>;
  readonly onFailed: (error: unknown) => void;
}

export class AnswerKeeping {
  readonly #parts: KeptAnswer;
  readonly #opening: Promise<AnswerSpool | undefined>;
  readonly #ended: PromiseWithResolvers<number | undefined> = Promise.withResolvers();
  #bytes = 0;
  #isGivenUp = false;
  /** Resolves when it was kept, or is gone. Never rejects. */
  readonly done: Promise<void>;

  constructor(parts: KeptAnswer) {
    this.#parts = parts;
    this.#opening = parts.openSpool().catch((error: unknown) => this.#fail(error));
    this.done = this.#settle();
  }

  /** Never rejects: what is not stored is sent all the same. */
  async write(packets: Uint8Array): Promise<void> {
    this.#bytes += packets.length;
    if (this.#bytes > this.#parts.maxBytes) this.#isGivenUp = true;
    if (this.#isGivenUp) return;
    const timer = new AbortController();
    const late = sleep(PATIENCE_MS, timer.signal).then(
      () => this.#fail(new HotpackError('storage_unavailable', 'the store does not keep up with an answer')),
      () => undefined,
    );
    await Promise.race([this.#write(packets), late]);
    timer.abort();
  }

  /** `packBytes`: of the whole pack; absent: it has not come to its end. Idempotent. */
  end(packBytes?: number): void {
    this.#ended.resolve(packBytes);
  }

  async #write(packets: Uint8Array): Promise<void> {
    try {
      await (await this.#opening)?.write(packets);
    } catch (error) {
      this.#fail(error);
    }
  }

  async #settle(): Promise<void> {
    const packBytes = await this.#ended.promise;
    const spool = await this.#opening;
    try {
      if (spool !== undefined && packBytes !== undefined && !this.#isGivenUp) await this.#parts.keep(spool, packBytes);
    } catch (error) {
      this.#fail(error);
    }
    await spool?.abort().catch(() => undefined);
  }

  #fail(error: unknown): undefined {
    if (!this.#isGivenUp) this.#parts.onFailed(error);
    this.#isGivenUp = true;
  }
}
