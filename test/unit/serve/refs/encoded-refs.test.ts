import { expect, test } from 'vitest';
import { encodedOnce } from '../../../../src/serve/refs/encoded-refs.ts';
import { isEqualSnapshot, type RefsSnapshot } from '../../../../src/protocol/refs-snapshot.ts';

const list = (): RefsSnapshot => ({ head: { kind: 'absent' }, refs: [] });

test('an answer is made once for each list and each way of asking', () => {
  let made = 0;
  const make = (): Uint8Array => Uint8Array.of(++made);
  const [one, other] = [list(), list()];
  const first = encodedOnce(one, 'a', make);
  expect(encodedOnce(one, 'a', make)).toBe(first);
  expect(encodedOnce(one, 'b', make)).not.toBe(first);
  expect(encodedOnce(other, 'a', make)).not.toBe(first);
  expect(made).toBe(3);
});

test('few ways are kept, the oldest goes, and long ones are nobody else’s', () => {
  let made = 0;
  const make = (): Uint8Array => Uint8Array.of(++made);
  const one = list();
  for (let way = 0; way < 9; way++) encodedOnce(one, `${way}`, make);
  encodedOnce(one, '8', make);
  expect(made).toBe(9);
  encodedOnce(one, '0', make);
  expect(made).toBe(10);
  for (let times = 0; times < 2; times++) encodedOnce(one, 'x'.repeat(2_000), make);
  expect(made).toBe(12);
});

test.each<[string, Partial<RefsSnapshot>]>([
  ['head', { head: { kind: 'detached', oid: 'b'.repeat(40) } }],
  ['its target', { head: { kind: 'unborn', target: 'refs/heads/other' } }],
  ['a name', { refs: [{ name: 'refs/heads/b', oid: 'a'.repeat(40) }] }],
  ['an object', { refs: [{ name: 'refs/heads/a', oid: 'b'.repeat(40) }] }],
  ['what a tag points to', { refs: [{ name: 'refs/heads/a', oid: 'a'.repeat(40), peeled: 'c'.repeat(40) }] }],
  ['what a ref stands for', { refs: [{ name: 'refs/heads/a', oid: 'a'.repeat(40), symrefTarget: 'refs/heads/b' }] }],
  ['what upstream says of it', { refs: [{ name: 'refs/heads/a', oid: 'a'.repeat(40), attributes: ['x:y'] }] }],
  ['how many there are', { refs: [] }],
])('lists that differ in %s are not equal', (_, change) => {
  const one: RefsSnapshot = {
    head: { kind: 'unborn', target: 'refs/heads/a' },
    refs: [{ name: 'refs/heads/a', oid: 'a'.repeat(40) }],
  };
  expect(isEqualSnapshot(one, structuredClone(one))).toBe(true);
  expect(isEqualSnapshot(one, { ...one, ...change })).toBe(false);
});
