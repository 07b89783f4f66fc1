import { expect, test } from 'vitest';
import { HotPackets, MAX_HOT_BYTES } from '../../../../src/answers/stored/hot-packets.ts';
import { encodeAnswerHeader, END } from '../../../../src/answers/stored/answer-header.ts';
import { OpenAnswer } from '../../../../src/answers/stored/open-answer.ts';
import { concatBytes } from '../../../../src/bytes/streams.ts';
import { fullPacketsBytes } from '../../../../src/protocol/side-band/full-packets.ts';
import { createMemoryStorage } from '../../../../src/storage/drivers/memory.ts';

/** An answer with a pack of `packBytes`, and how often its object is read from then on. */
async function open(packBytes: number): Promise<{ answer: OpenAnswer; packets: Uint8Array; reads: () => number }> {
  const storage = createMemoryStorage();
  const fields = { packBytes, objects: 1, costUs: 1, tags: undefined, shallow: [], unshallow: [] };
  const packets = concatBytes([new Uint8Array(fullPacketsBytes(packBytes)).fill(7), END]);
  await storage.put('answers/a', concatBytes([encodeAnswerHeader(fields), packets]));
  const answer = (await OpenAnswer.open(storage, 'answers/a')) as OpenAnswer;
  let reads = 0;
  const { reader } = answer;
  const read = reader.read.bind(reader);
  reader.read = (...args) => {
    reads++;
    return read(...args);
  };
  return { answer, packets, reads: () => reads };
}

test('an answer that is asked for again is read once more, and then never', async () => {
  const hot = new HotPackets(MAX_HOT_BYTES);
  const { answer, packets, reads } = await open(1_000);
  expect(hot.of(answer)).toBeUndefined();
  expect(reads()).toBe(0);
  const [first, second] = await Promise.all([hot.of(answer), hot.of(answer)]);
  expect(first).toEqual(packets);
  expect(second).toBe(first);
  expect(await hot.of(answer)).toBe(first);
  expect(reads()).toBe(1);
});

test('the least recently used make room, and count anew', async () => {
  const [one, two, three] = await Promise.all([open(400_000), open(400_000), open(400_000)]);
  const hot = new HotPackets(1_000_000);
  for (const { answer } of [one, two, one, two, one]) await hot.of(answer);
  await hot.of(three.answer);
  await hot.of(three.answer);
  expect([one.reads(), two.reads(), three.reads()]).toEqual([1, 1, 1]);
  await hot.of(one.answer);
  await hot.of(two.answer);
  expect([one.reads(), two.reads(), three.reads()]).toEqual([1, 2, 1]);
});

test('what is large is never held, nor anything where there is no memory for it', async () => {
  const { answer, reads } = await open(MAX_HOT_BYTES);
  const hot = new HotPackets(10 * MAX_HOT_BYTES);
  const none = new HotPackets(0);
  for (let time = 0; time < 3; time++) expect([hot.of(answer), none.of(answer)]).toEqual([undefined, undefined]);
  expect(reads()).toBe(0);
});

test('what was let go of is given back, and read again where it comes again', async () => {
  const hot = new HotPackets(500_000);
  const { answer, reads } = await open(400_000);
  await hot.of(answer);
  await hot.of(answer);
  hot.forget(answer);
  await hot.of(answer);
  expect(reads()).toBe(2);
});
