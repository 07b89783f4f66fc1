/**
 * `Kv` over any unstorage driver, spoken to directly: unstorage's own front turns `1e5` into a number, cuts keys at `?`, and hides those
 * that end in `$`. What a driver answers that is neither text nor nothing (one returns its errors as values) is a failure.
 */
import type { Driver } from 'unstorage';
import { abortError, createDeadline, raceSignal } from '../../bytes/abort.ts';
import { HotpackError, isHotpackError } from '../../bytes/error.ts';
import { ABSENT, type Absent } from '../contract.ts';
import type { Kv, KvValue } from './contract.ts';

export type KvDriver = Pick<Driver, 'name' | 'getItem' | 'getItems' | 'setItem' | 'removeItem' | 'getKeys' | 'dispose'>;

export interface DriverKvOptions {
  /** Segments in front of every key, such as `kv`. Default: none. */
  readonly base?: string;
  /** For one call, milliseconds; a list may take six times as long. Default: 5,000. */
  readonly timeoutMs?: number;
  /** True where the driver ends with this `Kv`. Default: true. */
  readonly ownsDriver?: boolean;
}

const LIST_FACTOR = 6;
const MAX_KEYS_AT_ONCE = 100;
/** Calls at the same time where the driver takes one key a call. */
const READS_AT_ONCE = 16;
const MAX_KEY_CHARACTERS = 250;
const KEY = /^[a-z0-9_-]+(:[a-z0-9_-]+)*$/;
const PREFIX = /^([a-z0-9_-]+:)*$/;

export function createKv(driver: KvDriver, options: DriverKvOptions = {}): Kv {
  const { timeoutMs = 5_000, ownsDriver = true } = options;
  const base = options.base === undefined ? '' : `${options.base}:`;
  let isClosed = false;

  async function run<T>(
    call: { readonly operation: string; readonly key: string; readonly timeoutMs: number },
    signal: AbortSignal | undefined,
    work: () => Promise<T> | T,
  ): Promise<T> {
    const { operation, key } = call;
    if (isClosed) throw failure(operation, key, new Error('the key-value store was closed'));
    const deadline = createDeadline({ parents: [signal], timeoutMs: call.timeoutMs, operation });
    try {
      // A driver may throw where it should reject.
      return await raceSignal((async () => work())(), deadline.signal);
    } catch (error) {
      if (signal?.aborted === true) throw abortError(signal);
      if (isHotpackError(error, 'limit_exceeded')) throw error;
      throw failure(operation, key, error);
    } finally {
      deadline.dispose();
    }
  }

  async function readMany(keys: readonly string[]): Promise<(KvValue | Absent)[]> {
    if (driver.getItems !== undefined) {
      const items = await driver.getItems(keys.map((key) => ({ key: base + key })));
      return items.map(({ value }) => toValue(value));
    }
    const values: (KvValue | Absent)[] = [];
    for (let at = 0; at < keys.length; at += READS_AT_ONCE) {
      const some = keys.slice(at, at + READS_AT_ONCE);
      // oxlint-disable-next-line no-await-in-loop -- no more than so many at once
      values.push(...(await Promise.all(some.map(async (key) => toValue(await driver.getItem(base + key))))));
    }
    return values;
  }

  return {
    async get(key, signal) {
      assertKey(key);
      return run({ operation: 'kv get', key, timeoutMs }, signal, async () => {
        const value: unknown = await driver.getItem(base + key);
        return toValue(value);
      });
    },
    async getMany(keys, signal) {
      if (keys.length > MAX_KEYS_AT_ONCE) throw invalid('more than 100 keys at once', `${keys.length} keys`);
      for (const key of keys) assertKey(key);
      if (keys.length === 0) return [];
      return run({ operation: 'kv get', key: keys[0] as string, timeoutMs }, signal, () => readMany(keys));
    },
    async set(key, text, signal) {
      assertKey(key);
      await run({ operation: 'kv set', key, timeoutMs }, signal, () => driver.setItem?.(base + key, text, {}));
    },
    async delete(key, signal) {
      assertKey(key);
      await run({ operation: 'kv delete', key, timeoutMs }, signal, () => driver.removeItem?.(base + key, {}));
    },
    async *list(prefix, signal) {
      if (!PREFIX.test(prefix)) throw invalid('not a prefix of a key', prefix);
      const call = { operation: 'kv list', key: prefix, timeoutMs: timeoutMs * LIST_FACTOR };
      const from = base + prefix;
      const keys = await run(call, signal, async () => driver.getKeys(from.replace(/:$/, ''), {}));
      // Drivers list more than they were asked for, a scan may show a key twice, and unstorage's folder lists paths.
      for (const listed of new Set(keys)) {
        const key = listed.replaceAll('/', ':');
        if (key.startsWith(from)) yield key.slice(base.length);
      }
    },
    async close() {
      if (isClosed) return;
      isClosed = true;
      if (ownsDriver) await driver.dispose?.();
    },
  };
}

function toValue(value: unknown): KvValue | Absent {
  if (value === null || value === undefined) return ABSENT;
  if (typeof value !== 'string') throw value instanceof Error ? value : new TypeError('a value that is no text');
  return { kind: 'found', text: value };
}

function assertKey(key: string): void {
  if (key.length > MAX_KEY_CHARACTERS || !KEY.test(key)) throw invalid('not a key', key);
}

function invalid(message: string, key: string): HotpackError {
  return new HotpackError('invalid_argument', message, { detail: { key: key.slice(0, 200) } });
}

function failure(operation: string, key: string, cause: unknown): HotpackError {
  return new HotpackError('storage_unavailable', `${operation} failed`, { detail: { key }, cause });
}
