import { describe, expect, test } from 'vitest';
import { HotpackError } from '../../../../src/bytes/error.ts';
import { createFetchRequest } from '../../../../src/protocol/fetch/create-fetch-request.ts';
import type { FetchRequest, SideBand } from '../../../../src/protocol/fetch-request.ts';
import { encodeBand, PACK_BAND } from '../../../../src/protocol/side-band/frame.ts';
import { streamAnswer } from '../../../../src/serve/body/answer-stream.ts';
import { cut } from '../../../support/pkt-lines.ts';
import { turnsDuring } from '../../../support/turns.ts';

const never = new AbortController().signal;
const ask = (sideBand: SideBand, noProgress = false): FetchRequest => ({
  ...createFetchRequest({ wants: ['a'.repeat(40)], haves: [] }),
  sideBand,
  noProgress,
});
const text = (words: string): Uint8Array => new TextEncoder().encode(words);

/** A body whose chunks a test hands out; counts how often it was begun, closed, and ended. */
function createBody(chunks: (Uint8Array | Error | Promise<Uint8Array>)[]) {
  const seen = { pulled: 0, closed: 0, ends: [] as unknown[], begun: false };
  let listener: ((words: Uint8Array) => void) | undefined;
  async function* iterate(): AsyncGenerator<Uint8Array> {
    seen.begun = true;
    try {
      for (const chunk of chunks) {
        seen.pulled++;
        if (chunk instanceof Error) throw chunk;
        yield encodeBand(PACK_BAND, await chunk, 'side-band-64k');
      }
    } finally {
      seen.closed++;
    }
  }
  const body = {
    head: text('HEAD'),
    packets: iterate(),
    note: 'from here',
    onProgress: (given: (words: Uint8Array) => void) => (listener = given),
    onEnd: (error?: unknown) => void seen.ends.push(error),
  };
  return { seen, body, say: (words: string) => listener?.(text(words)) };
}

async function readAll(stream: ReadableStream<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** What followed the head: band and words of each packet, a flush as `.`. */
function bands(answer: Buffer): string[] {
  expect(answer.subarray(0, 4).toString()).toBe('HEAD');
  return cut(answer.subarray(4)).packets.map((one) =>
    one.kind === 'data' ? `${one.payload[0]} ${one.payload.subarray(1).toString()}` : '.',
  );
}

test('others go on after every MiB, though all of it is there and its client takes it at once', async () => {
  const { body } = createBody(Array.from({ length: 256 }, () => new Uint8Array(65_515)));
  const reading = readAll(streamAnswer(ask('side-band-64k'), body, never));
  expect(await turnsDuring(reading)).toBeGreaterThanOrEqual(15);
  expect((await reading).length).toBeGreaterThan(255 * 65_515);
});

describe('what is sent', () => {
  test('in side-band-64k: a note, the pack, the end', async () => {
    const { body, seen } = createBody([text('PACK'), text('more')]);
    expect(bands(await readAll(streamAnswer(ask('side-band-64k'), body, never)))).toEqual([
      '2 from here\n',
      '1 PACK',
      '1 more',
      '.',
    ]);
    expect(seen).toMatchObject({ closed: 1, ends: [undefined] });
  });

  test('with no-progress nothing but the pack', async () => {
    const { body } = createBody([text('PACK')]);
    expect(bands(await readAll(streamAnswer(ask('side-band-64k', true), body, never)))).toEqual(['1 PACK', '.']);
  });

  test('in side-band: packets of at most 1000 bytes', async () => {
    const { body } = createBody([text('x'.repeat(2500))]);
    const answer = await readAll(streamAnswer(ask('side-band', true), body, never));
    expect(bands(answer).map((one) => one.length)).toEqual([997, 997, 512, 1]);
  });

  test('without side-band the bytes as they are', async () => {
    const { body } = createBody([text('PACK'), text('more')]);
    expect((await readAll(streamAnswer(ask('none'), body, never))).toString()).toBe('HEADPACKmore');
  });

  test('progress of somebody else between the chunks, also while none comes', async () => {
    const gate = Promise.withResolvers<Uint8Array>();
    const { body, say } = createBody([text('PACK'), gate.promise]);
    const reader = streamAnswer(ask('side-band-64k'), body, never).getReader();
    const got: Uint8Array[] = [];
    const read = async (): Promise<void> => void got.push((await reader.read()).value as Uint8Array);
    for (let n = 0; n < 3; n++) await read();
    const next = read();
    await new Promise((resolve) => setImmediate(resolve));
    say('50%');
    await next;
    gate.resolve(text('more'));
    await read();
    expect(bands(Buffer.concat(got)).slice(1)).toEqual(['1 PACK', '2 50%', '1 more']);
    await reader.cancel();
  });

  test('of progress that a slow client has not read only the latest 64 KiB', async () => {
    const gate = Promise.withResolvers<Uint8Array>();
    const { body, say } = createBody([text('PACK'), gate.promise]);
    const stream = streamAnswer(ask('side-band-64k'), body, never);
    const reader = stream.getReader();
    for (let n = 0; n < 3; n++) await reader.read();
    for (let n = 0; n < 1000; n++) say(`${n}`.padEnd(1024));
    gate.resolve(text('more'));
    reader.releaseLock();
    const rest = cut(await readAll(stream)).packets.map((one) =>
      one.kind === 'data' ? one.payload.subarray(1).toString().trim() : '.',
    );
    expect(rest).toEqual([...Array.from({ length: 64 }, (_, n) => `${n + 936}`), 'more', '.']);
  });

  test('nothing is read ahead of the client', async () => {
    const { body, seen } = createBody([text('1'), text('2'), text('3')]);
    const reader = streamAnswer(ask('side-band-64k', true), body, never).getReader();
    await reader.read();
    expect(seen.pulled).toBe(0);
    await reader.read();
    await new Promise((resolve) => setImmediate(resolve));
    expect(seen.pulled).toBe(1);
    await reader.cancel();
  });
});

describe('what fails under way', () => {
  test.each([
    [new HotpackError('upstream_unavailable', 'cut'), 'hotpack: cut\n'],
    [new Error('/secret/path'), 'hotpack: internal error\n'],
  ])('%s ends on band 3', async (error, words) => {
    const { body, seen } = createBody([text('PACK'), error]);
    const answer = bands(await readAll(streamAnswer(ask('side-band-64k', true), body, never)));
    expect(answer.slice(0, 2)).toEqual(['1 PACK', `3 ${words}`]);
    expect(seen.ends).toEqual([error]);
  });

  test('without side-band the stream is cut', async () => {
    const { body, seen } = createBody([text('PACK'), new Error('broken')]);
    await expect(readAll(streamAnswer(ask('none'), body, never))).rejects.toThrow('broken');
    expect(seen.ends).toHaveLength(1);
  });
});

describe('who leaves', () => {
  test('without having read: it ends once, and nothing is begun', async () => {
    const { body, seen } = createBody([text('PACK')]);
    await streamAnswer(ask('side-band-64k'), body, never).cancel();
    expect(seen).toMatchObject({ begun: false, ends: [undefined] });
  });

  test('in the middle: what was open is closed', async () => {
    const { body, seen } = createBody([text('PACK'), text('more')]);
    const reader = streamAnswer(ask('side-band-64k', true), body, never).getReader();
    await reader.read();
    await reader.read();
    await reader.cancel();
    expect(seen).toMatchObject({ closed: 1, ends: [undefined] });
  });

  test.each(['before', 'after'])(
    'and neither pulls nor cancels (signal fires %s): it ends all the same',
    async (when) => {
      const { body, seen } = createBody([text('PACK'), text('more')]);
      const leaving = new AbortController();
      if (when === 'before') leaving.abort();
      const reader = streamAnswer(ask('side-band-64k', true), body, leaving.signal).getReader();
      if (when === 'after') {
        await reader.read();
        await reader.read();
        leaving.abort();
      }
      await new Promise((resolve) => setImmediate(resolve));
      expect(seen).toMatchObject({ closed: when === 'before' ? 0 : 1, ends: [undefined] });
      await expect(reader.read()).rejects.toMatchObject({ code: 'aborted' });
    },
  );

  test('while a chunk that then fails is awaited: nobody is left with a rejection', async () => {
    const gate = Promise.withResolvers<Uint8Array>();
    const { body, say, seen } = createBody([gate.promise]);
    const reader = streamAnswer(ask('side-band-64k'), body, never).getReader();
    await reader.read();
    await reader.read();
    const next = reader.read();
    await new Promise((resolve) => setImmediate(resolve));
    say('50%');
    await next;
    const cancelled = reader.cancel();
    gate.reject(new Error('too late'));
    await cancelled;
    await new Promise((resolve) => setImmediate(resolve));
    expect(seen).toMatchObject({ closed: 1, ends: [undefined] });
  });
});
