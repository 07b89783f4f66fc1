import { expect, test } from 'vitest';
import { WholeBody } from '../../../src/bytes/whole-body.ts';
import { readAllStream } from '../../../src/bytes/streams.ts';

const PARTS = [Uint8Array.of(1, 2), Uint8Array.of(3)];

function observed(): { body: WholeBody; ends: unknown[] } {
  const ends: unknown[] = [];
  const body = new WholeBody(PARTS);
  body.onEnd((bytes, end) => ends.push([bytes, end]));
  return { body, ends };
}

test('to everyone who does not know it is a stream of its parts', async () => {
  const { body, ends } = observed();
  expect([...(await readAllStream(new Response(body).body as WholeBody, 10))]).toEqual([1, 2, 3]);
  expect(ends).toEqual([[3, 'ended']]);
});

test('a response hands on the body itself, so that its parts can be taken without a read', () => {
  const { body, ends } = observed();
  const taken = new Response(body).body as WholeBody;
  expect(taken.parts).toBe(PARTS);
  taken.settle(3, 'ended');
  expect(ends).toEqual([[3, 'ended']]);
});

test('who stops reading is told of with what he took', async () => {
  const { body, ends } = observed();
  const reader = body.getReader();
  await reader.read();
  await reader.cancel();
  expect(ends).toEqual([[2, 'left']]);
});
