/** A fleet: several servers on Node over one bucket, with one Redis for their counts. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Fleet, logged } from '../support/fleet.ts';
import { startRedis, withoutRedis, type Redis } from '../support/redis.ts';
import { commitUpstream, richRepository } from '../support/repositories.ts';
import { endOfPass, importCounts, runCommand, statuses } from './warming.ts';

let fleet: Fleet;
let redis: Redis;

describe.skipIf(withoutRedis !== '')(`over one bucket and one Redis${withoutRedis}`, () => {
  beforeEach(async () => {
    [fleet, redis] = await Promise.all([Fleet.open(richRepository()), startRedis()]);
  });
  afterEach(async () => {
    await fleet.close();
    redis.stop();
  });
  const kv = (): string => `redis://127.0.0.1:${redis.port}`;
  const exported = async (): Promise<string> => (await runCommand(['counts', 'export'], { HOTPACK_KV: kv() })).text;

  test('one of three fills, each serves it, and their counts add up, but for what a killed one had not written', async () => {
    const env = { HOTPACK_KV: kv(), HOTPACK_KV_FLUSH_INTERVAL: '200ms' };
    const servers = await Promise.all([1, 2, 3].map(() => fleet.startServer(env)));
    const shallow = ['--depth=1', '--no-checkout'];
    // Nobody's clone is the fill: upstream is asked for that apart, and all that it shows is told by what is wanted.
    await Promise.all(servers.flatMap((one) => [fleet.clone(one, shallow), fleet.clone(one, shallow)]));
    await fleet.until('the fill', () => fleet.isFilled);
    const fills = fleet.upstream.journal
      .select({ repository: fleet.name, kind: 'fetch' })
      .filter(({ lines }) => !lines.some((line) => line.startsWith('deepen')));
    expect(fills).toHaveLength(1);
    expect(servers.reduce((sum, one) => sum + logged(one, 'fill_started'), 0)).toBe(1);

    fleet.upstream.forbidFetch(fleet.name);
    await Promise.all(servers.map((one) => fleet.clone(one)));
    await expect.poll(exported, { timeout: 10_000 }).toContain('"clones":9}');
    const [killed, ...others] = servers as [(typeof servers)[0], ...typeof servers];
    await killed.kill9();
    await Promise.all(others.map((one) => fleet.clone(one)));
    await expect.poll(exported, { timeout: 10_000 }).toContain('"clones":11}');
    await killed.start();
    await fleet.clone(killed);
    await expect.poll(exported, { timeout: 10_000 }).toContain('"clones":12}');
  });

  test('a Redis that has lost what it held is told it again, with the next count of each', async () => {
    const env = { HOTPACK_KV: kv(), HOTPACK_KV_FLUSH_INTERVAL: '200ms' };
    const servers = await Promise.all([1, 2].map(() => fleet.startServer(env)));
    const [one, two] = servers as [(typeof servers)[0], (typeof servers)[0]];
    for (const server of [one, one, two]) await fleet.clone(server, ['--depth=1', '--no-checkout']);
    await expect.poll(exported, { timeout: 10_000 }).toContain('"clones":3}');
    await redis.kill9();
    redis = await startRedis(redis.port);
    expect(await exported()).toBe('');
    for (const server of servers) await fleet.clone(server, ['--depth=1', '--no-checkout']);
    await expect.poll(exported, { timeout: 20_000 }).toContain('"clones":5}');
  });

  test('what one has warmed and updated another one takes over, though upstream gives it nothing', async () => {
    const env = { HOTPACK_KV: kv(), HOTPACK_PREWARM_MOST_CLONED_REPOS: '5' };
    await importCounts({ HOTPACK_KV: kv() }, [{ repo: fleet.name, daysAgo: 1, clones: 3 }]);
    const a = await fleet.startServer(env);
    expect(statuses(await endOfPass(a))).toEqual({ [fleet.name]: 'clone ok' });
    const tip = commitUpstream(fleet.upstream.folder(fleet.name), 'newer', 'refs/heads/main');
    const warmed = await runCommand(['warm', fleet.name], { HOTPACK_SERVER: a.url });
    expect(warmed.code, warmed.text).toBe(0);
    const seconds = 'hotpack_prewarm_repo_duration_seconds_count';
    expect(await a.metric(seconds, { path: 'fetch', status: 'ok' })).toBe(1);

    const refused = fleet.upstream.forbidFetch(fleet.name);
    const b = await fleet.startServer(env);
    expect(statuses(await endOfPass(b))).toEqual({ [fleet.name]: 'restore ok' });
    expect(await b.metric(seconds, { path: 'restore', status: 'ok' })).toBe(1);
    expect(await fleet.fetchCommit(b, tip)).toBe(tip);
    await fleet.clone(b);
    expect(await b.metric('hotpack_warmed_requests_total', { source: 'mirror' })).toBeGreaterThan(0);
    expect(refused.hits).toEqual([]);
    // From now on it is its own.
    const again = await runCommand(['warm', fleet.name], { HOTPACK_SERVER: b.url });
    expect(again.code, again.text).toBe(0);
    expect(await b.metric(seconds, { path: 'fetch', status: 'ok' })).toBe(1);
  });
});
