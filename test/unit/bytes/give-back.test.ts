import { expect, test } from 'vitest';
import { forOneTaker, giveBack } from '../../../src/bytes/give-back.ts';

test('what was made for one taker is freed once he gives it back, through whichever view of all of it', () => {
  const bytes = forOneTaker(new Uint8Array(64));
  const view = bytes.subarray(0, 64);
  giveBack(view);
  expect([bytes.length, view.length]).toEqual([0, 0]);
  giveBack(view);
});

test('what was not marked, and a part of what was, are left alone', () => {
  const shared = new Uint8Array(64);
  giveBack(shared);
  const bytes = forOneTaker(new Uint8Array(64));
  giveBack(bytes.subarray(1));
  const part = forOneTaker(new Uint8Array(64).subarray(0, 63));
  giveBack(part);
  const empty = forOneTaker(new Uint8Array(0));
  giveBack(empty);
  expect([shared.length, bytes.length, part.length]).toEqual([64, 64, 63]);
});
