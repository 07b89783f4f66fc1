/** A server on Node over a bucket that is killed at each step of a fill, and the others that go on. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { FastImport } from '../support/fast-import.ts';
import { Fleet, logged } from '../support/fleet.ts';
import { gitSync, temporaryFolder } from '../support/git.ts';
import { noise, richRepository } from '../support/repositories.ts';

let fleet: Fleet;
beforeEach(async () => {
  fleet = await Fleet.open(richRepository());
});
afterEach(() => fleet.close());

/** Its pack takes three parts. */
function largeRepository(): string {
  const folder = temporaryFolder('large');
  gitSync(['init', '--quiet', '--bare', '--initial-branch=main', folder]);
  const stream = new FastImport();
  for (let n = 0; n < 20; n++) {
    const changes = [{ path: `noise-${n}`, data: noise(`large ${n}`, 1024 * 1024) }];
    stream.commit({ ref: 'refs/heads/main', message: `noise ${n}`, changes });
  }
  stream.run(folder);
  return folder;
}

/** What a fill writes, in this order. */
const STEPS = ['jobs/claims/fill', '.pack', '.rev', '.idx', '/hotpack/manifest!', '/packed-refs', '/HEAD'];

test.each(STEPS)('killed when it wrote %s, or was about to', async (step) => {
  for (const fault of ['hang', 'lost'] as const) {
    fleet.s3.store.objects.clear();
    fleet.upstream.clearRules();
    const [killed, other] = [await fleet.startServer(), await fleet.startServer()];
    let isThere = false;
    fleet.s3.fault = ({ name, key }) => {
      if (isThere) return 'hang';
      if (name !== 'PutObject' || !key.includes(step)) return undefined;
      isThere = true;
      return fault;
    };
    await fleet.clone(killed);
    await fleet.until('the step', () => isThere);
    await killed.kill9();
    fleet.s3.fault = undefined;
    await fleet.clone(other);
    await fleet.until(
      'the other one has it',
      () => fleet.isFilled && fleet.keysWith('/packed-refs').length > 0,
      60_000,
    );
    fleet.upstream.forbidFetch(fleet.name);
    await fleet.clone(other);
    await killed.start();
    await fleet.clone(killed);
    expect(fleet.isFilled).toBe(true);
    await fleet.fsckAtRest();
    await Promise.all([killed.stop(), other.stop()]);
  }
});

/** Calls that a pack of several parts makes, and how many of each come before the one that hangs. */
const PART_CALLS = [
  ['PutObject', 'tmp/', 1],
  ['CreateMultipartUpload', '.pack', 0],
  ['UploadPartCopy', '.pack', 1],
  ['UploadPart', '.pack', 0],
  ['CompleteMultipartUpload', '.pack', 0],
] as const;

test.each(PART_CALLS)('killed between the parts of a large pack, at %s of %s, after %i of them', async (...call) => {
  const [operation, part, before] = call;
  await fleet.close();
  fleet = await Fleet.open(largeRepository());
  const [killed, other] = [await fleet.startServer(), await fleet.startServer()];
  let calls = 0;
  fleet.s3.fault = ({ name, key }) =>
    name === operation && key.includes(part) && ++calls > before ? 'hang' : undefined;
  await fleet.clone(killed);
  await fleet.until('the step', () => calls > before);
  await killed.kill9();
  expect(fleet.isFilled).toBe(false);
  fleet.s3.fault = undefined;
  await fleet.clone(other, ['--depth=1']);
  await fleet.until('the other one has it', () => fleet.isFilled && fleet.keysWith('/packed-refs').length > 0, 60_000);
  fleet.upstream.forbidFetch(fleet.name);
  await killed.start();
  await Promise.all([fleet.clone(other), fleet.clone(killed)]);
  await fleet.fsckAtRest();
});

test('the claim of one that was killed in mid-fill runs out, and another one fills', async () => {
  const [a, b] = [await fleet.startServer(), await fleet.startServer()];
  let packs = 0;
  fleet.s3.fault = ({ name, key }) =>
    name === 'PutObject' && key.endsWith('.pack') && ++packs === 1 ? 'hang' : undefined;
  await Promise.all([fleet.clone(a), fleet.clone(b)]);
  await fleet.until('one leaves it to the other', () => logged(a, 'fill_elsewhere') + logged(b, 'fill_elsewhere') > 0);
  const [filling, other] = logged(a, 'fill_elsewhere') > 0 ? [b, a] : [a, b];
  expect([logged(filling, 'fill_started'), logged(other, 'fill_started')]).toEqual([1, 0]);
  await filling.kill9();
  expect(fleet.isFilled).toBe(false);
  await fleet.until('the other one has filled it', () => fleet.isFilled, 60_000);
  expect(logged(other, 'fill_started')).toBe(1);
  fleet.upstream.forbidFetch(fleet.name);
  await fleet.clone(other);
  await fleet.fsckAtRest();
});
