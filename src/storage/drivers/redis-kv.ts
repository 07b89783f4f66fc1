/** The key-value store of several instances in Redis, under keys that begin with `hotpack:`. */
import redisDriver from 'unstorage/drivers/redis';
import type { Kv } from '../kv/contract.ts';
import { createKv } from '../kv/driver-kv.ts';

const TIMEOUT_MS = 5_000;
const SLOWEST_RECONNECT_MS = 5_000;
const KEYS_PER_SCAN = 1_000;

/** Connects with the first call, and again whenever the connection was lost; calls meanwhile reject. */
export function openRedisKv(url: string): Kv {
  const driver = redisDriver({
    url,
    base: 'hotpack',
    scanCount: KEYS_PER_SCAN,
    connectTimeout: TIMEOUT_MS,
    commandTimeout: TIMEOUT_MS,
    maxRetriesPerRequest: 1,
    retryStrategy: (attempts: number) => Math.min(attempts * 100, SLOWEST_RECONNECT_MS),
  });
  // Each call rejects with what is wrong; an event that nobody listens to would be printed besides.
  const client = driver.getInstance?.() as { on(event: 'error', listener: () => void): void } | undefined;
  client?.on('error', () => undefined);
  return createKv(driver, { timeoutMs: TIMEOUT_MS });
}
