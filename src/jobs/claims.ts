/**
 * Claims: which of several instances over one store does a piece of work. A claim is a document that names its holder and
 * says until when it is held; the holder renews it while the work goes on, so that it is free `ttlMs` after a
 * holder has died. Who releases it may leave behind when the work was done, so that the others need not do it again.
 *
 * Claims save double work and guard nothing: a holder that was held up for longer than its claim, or clocks that differ,
 * let two work on the same. What they do MUST be right then, too.
 */
import { sleep } from '../bytes/abort.ts';
import type { Storage } from '../storage/contract.ts';
import { listObjects } from '../storage/listing.ts';

const TTL_MS = 60_000;
/** How often a claim is renewed while it is held: so many times before it runs out. */
const RENEWALS = 3;
/** How often who waits looks again. */
const LOOK_MS = 1_000;
const FOLDER = 'jobs/claims';

export interface ClaimsDeps {
  readonly storage: Pick<Storage, 'readDocument' | 'replaceDocument' | 'list'>;
  /** This process alone. */
  readonly holder: string;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** How long a claim outlives a holder that died; the same for all who claim the same. Default: 60,000. */
  readonly ttlMs?: number;
  /** Between renewals, and between the looks of who waits. Default: a timer. */
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<void>;
}

export interface Claim {
  /** Ends the renewals and frees it. `doneAtMs`: the work is done, others see it as `done`. Never rejects. */
  release(doneAtMs?: number): Promise<void>;
}

export type ClaimAnswer =
  | { readonly kind: 'claimed'; readonly claim: Claim }
  | { readonly kind: 'held'; readonly holder: string }
  /** Somebody did the work at `atMs`, which is not before `notDoneSinceMs`. */
  | { readonly kind: 'done'; readonly atMs: number };

export interface Claims {
  /** `name`: `/`-separated segments as storage keys have them, none a segment-wise prefix of another. Rejects where storage fails. */
  take(name: string, options?: TakeOptions): Promise<ClaimAnswer>;
  /** When the work was last done; undefined: never, or it was tried since and not done. Rejects where storage fails. */
  doneAtMs(name: string, signal?: AbortSignal): Promise<number | undefined>;
  /** What was ever claimed, by names that start with `prefix`. Rejects where storage fails. */
  names(prefix: string, signal?: AbortSignal): AsyncIterable<string>;
}

export interface TakeOptions {
  /** Work that was done before this time is to be done again. Absent: all is. */
  readonly notDoneSinceMs?: number | undefined;
  /**
   * Called once where somebody holds it. Then it is waited until that one has ended, or has died and the claim is free; or
   * shows that it lives, by renewing it: only then it is `held`. Absent: that is so at once.
   */
  readonly onWait?: (() => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

interface ClaimRecord {
  readonly holder: string;
  /** 0: free. */
  readonly untilMs: number;
  /** 0: never. */
  readonly doneAtMs: number;
}

export function createClaims(deps: ClaimsDeps): Claims {
  const { storage, holder, now, ttlMs = TTL_MS } = deps;
  const pause = deps.sleep ?? sleep;

  async function write(key: string, record: ClaimRecord, expected: string): Promise<string | undefined> {
    const outcome = await storage.replaceDocument(key, encode(record), expected);
    return outcome.kind === 'replaced' ? outcome.version : undefined;
  }

  function hold(key: string, first: string): Claim {
    const ending = new AbortController();
    // Undefined once it is lost: somebody else holds it.
    let version: string | undefined = first;
    const renewing = (async () => {
      while (version !== undefined) {
        // oxlint-disable-next-line no-await-in-loop -- one renewal after the other
        await pause(ttlMs / RENEWALS, ending.signal);
        // oxlint-disable-next-line no-await-in-loop
        version = await write(key, { holder, untilMs: now() + ttlMs, doneAtMs: 0 }, version).catch(() => version);
      }
    })().catch(() => undefined);
    return {
      async release(doneAtMs = 0) {
        ending.abort();
        await renewing;
        if (version === undefined) return;
        const last = version;
        version = undefined;
        // Where it cannot be written, it runs out.
        await write(key, { holder, untilMs: 0, doneAtMs }, last).catch(() => undefined);
      },
    };
  }

  return {
    async take(name, { notDoneSinceMs = Number.POSITIVE_INFINITY, onWait, signal } = {}) {
      const key = `${FOLDER}/${name}`;
      let waitedFor: ClaimRecord | undefined;
      while (true) {
        // oxlint-disable-next-line no-await-in-loop -- looks again at what won
        const found = await storage.readDocument(key, signal);
        const record = found.kind === 'absent' ? undefined : parse(found.bytes);
        if (record !== undefined) {
          if (record.doneAtMs > 0 && record.doneAtMs >= notDoneSinceMs) return { kind: 'done', atMs: record.doneAtMs };
          const leftMs = record.untilMs - now();
          // Nobody claims for longer than `ttlMs`: beyond twice that it is a clock gone wrong.
          if (leftMs > 0 && leftMs <= 2 * ttlMs) {
            const lives = waitedFor !== undefined && waitedFor.untilMs !== record.untilMs;
            if (onWait === undefined || lives) return { kind: 'held', holder: record.holder };
            if (waitedFor === undefined) onWait();
            waitedFor = record;
            // oxlint-disable-next-line no-await-in-loop
            await pause(Math.min(LOOK_MS, leftMs), signal ?? new AbortController().signal);
            continue;
          }
        }
        const next: ClaimRecord = { holder, untilMs: now() + ttlMs, doneAtMs: 0 };
        // oxlint-disable-next-line no-await-in-loop
        const version = await write(key, next, found.kind === 'absent' ? 'absent' : found.version);
        if (version !== undefined) return { kind: 'claimed', claim: hold(key, version) };
      }
    },
    async doneAtMs(name, signal) {
      const found = await storage.readDocument(`${FOLDER}/${name}`, signal);
      const record = found.kind === 'absent' ? undefined : parse(found.bytes);
      return record !== undefined && record.doneAtMs > 0 ? record.doneAtMs : undefined;
    },
    async *names(prefix, signal) {
      for await (const { key } of listObjects(storage, `${FOLDER}/${prefix}`, signal)) {
        yield key.slice(FOLDER.length + 1);
      }
    },
  };
}

/** With a nonce: some stores know a version by the digest of its bytes. */
function encode(record: ClaimRecord): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ ...record, nonce: crypto.randomUUID() }));
}

/** Undefined for what is no claim: then it is free. */
function parse(bytes: Uint8Array): ClaimRecord | undefined {
  try {
    const { holder, untilMs, doneAtMs } = JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>;
    if (typeof holder !== 'string' || typeof untilMs !== 'number' || typeof doneAtMs !== 'number') return undefined;
    return { holder, untilMs, doneAtMs };
  } catch {
    return undefined;
  }
}
