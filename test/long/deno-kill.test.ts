/** A server on Deno over a bucket that is killed in mid-fill: what is whole in the bucket is not fetched again. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { runCommand } from '../integration/warming.ts';
import { DENO, DENO_ON_DEPLOY, denoCommand } from '../support/deno.ts';
import { Fleet } from '../support/fleet.ts';
import { richRepository } from '../support/repositories.ts';

let fleet: Fleet;
beforeEach(async () => {
  fleet = await Fleet.open(richRepository());
});
afterEach(() => fleet.close());

test.each([
  ['2.5', DENO_ON_DEPLOY],
  ['the newest', DENO],
])('killed while it indexes, Deno %s goes on from the bytes that are there', async (_version, program) => {
  const hotpack = await fleet.startServer({}, denoCommand(program));
  let isIndexing = false;
  fleet.s3.fault = ({ name, key }) => {
    if (name !== 'GetObject' || !key.endsWith('.pack')) return undefined;
    isIndexing = true;
    return 'hang';
  };
  await fleet.clone(hotpack);
  await fleet.until('it reads what it has stored', () => isIndexing);
  await hotpack.kill9();
  expect(fleet.keysWith('/hotpack/incoming')).toHaveLength(1);
  expect(fleet.isFilled).toBe(false);

  fleet.s3.fault = undefined;
  const refused = fleet.upstream.forbidFetch(fleet.name);
  await hotpack.start();
  const warmed = await runCommand(['warm', fleet.name], { HOTPACK_SERVER: hotpack.url });
  expect(warmed.code, warmed.text).toBe(0);
  await fleet.clone(hotpack);
  await fleet.clone(hotpack, ['--filter=blob:none', '--no-checkout']);
  expect(refused.hits.map(({ lines }) => lines)).toEqual([]);
  expect(fleet.keysWith('/hotpack/incoming')).toEqual([]);
  await fleet.fsckAtRest();
});
