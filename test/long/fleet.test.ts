/** Three servers on Node over one bucket and one Redis, two of which die while they fill the same repository. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Fleet, logged } from '../support/fleet.ts';
import { startRedis, withoutRedis, type Redis } from '../support/redis.ts';
import { richRepository } from '../support/repositories.ts';
import { runCommand } from '../integration/warming.ts';

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

  test('one is killed in mid-fill and one between pack and manifest: the third fills, each serves it, no count that was written is lost', async () => {
    const env = { HOTPACK_KV: `redis://127.0.0.1:${redis.port}`, HOTPACK_KV_FLUSH_INTERVAL: '200ms' };
    const servers = await Promise.all([1, 2, 3].map(() => fleet.startServer(env)));
    const exported = async (): Promise<string> => (await runCommand(['counts', 'export'], env)).text;
    /** Of everything, as a fill asks; clients here ask for less. */
    const fills = (): number =>
      fleet.upstream.journal
        .select({ repository: fleet.name, kind: 'fetch' })
        .filter(({ lines }) => !lines.some((line) => line.startsWith('deepen'))).length;
    /** The one who has begun the fill that hangs now. */
    const filler = async (among: typeof servers, fill: number): Promise<(typeof servers)[0]> => {
      const begun = (): (typeof servers)[0] | undefined => among.find((one) => logged(one, 'fill_started') > 0);
      await fleet.until(`fill ${fill}`, () => begun() !== undefined, 60_000);
      return begun() as (typeof servers)[0];
    };
    let isThere = false;
    const hangAt = (part: string): void => {
      isThere = false;
      fleet.s3.fault = ({ name, key }) => {
        if (name !== 'PutObject' || !key.includes(part)) return undefined;
        isThere = true;
        return 'hang';
      };
    };

    hangAt('.pack');
    // Each asks for something else, so that each has a reason to fill.
    await Promise.all(servers.map((one, i) => fleet.clone(one, [`--depth=${i + 1}`, '--no-checkout'])));
    const first = await filler(servers, 1);
    await fleet.until('the pack', () => isThere);
    await expect.poll(exported, { timeout: 10_000 }).toContain('"clones":3}');
    await first.kill9();
    hangAt('/hotpack/manifest!');
    const left = servers.filter((one) => one !== first);
    const second = await filler(left, 2);
    await fleet.until('the manifest', () => isThere, 30_000);
    expect(fills()).toBe(2);
    expect(fleet.keysWith('.idx')).toHaveLength(1);
    await second.kill9();
    fleet.s3.fault = undefined;
    const third = await filler(
      left.filter((one) => one !== second),
      3,
    );
    await fleet.until('the mirror', () => fleet.isFilled && fleet.keysWith('/packed-refs').length > 0, 30_000);
    expect(fills()).toBe(3);

    fleet.upstream.forbidFetch(fleet.name);
    await Promise.all([first.start(), second.start()]);
    await Promise.all([first, second, third].map((one) => fleet.clone(one)));
    await expect.poll(exported, { timeout: 10_000 }).toContain('"clones":6}');
    await fleet.fsckAtRest();
  });
});
