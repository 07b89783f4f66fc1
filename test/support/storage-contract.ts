/**
 * What every storage driver must do (src/storage/contract.ts), as tests. `describeStorageContract` is run by each driver's own
 * test file with a factory of fresh stores.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createStorage } from 'unstorage';
import type { HotpackError } from '../../src/bytes/error.ts';
import { iterateStream, readAllStream } from '../../src/bytes/streams.ts';
import type { StorageReader, StorageWriter } from '../../src/storage/contract.ts';
import type { DriverStorage } from '../../src/storage/drivers/unstorage-driver.ts';

export interface StorageUnderTest {
  readonly storage: DriverStorage;
  /** Another instance over the same medium; absent where one instance is all there is. */
  readonly openSecond?: () => Promise<DriverStorage>;
  /** Everything that lies on the medium, what is in the making included. */
  readonly countTraces?: () => Promise<number>;
  readonly destroy: () => Promise<void>;
}

export function describeStorageContract(name: string, factory: () => Promise<StorageUnderTest>): void {
  describe(`storage contract: ${name}`, () => {
    let under: StorageUnderTest;
    let storage: DriverStorage;
    beforeEach(async () => {
      under = await factory();
      storage = under.storage;
    });
    afterEach(async () => {
      await under.destroy();
    });

    const openReader = async (key: string): Promise<StorageReader> => {
      const reader = await storage.open(key);
      if (reader.kind === 'absent') throw new Error(`${key} is absent`);
      return reader;
    };
    const keysUnder = async (prefix: string): Promise<string[]> => {
      const keys: string[] = [];
      for (let after: string | undefined; ;) {
        const page = await storage.list(prefix, after === undefined ? {} : { after });
        keys.push(...page.objects.map((object) => object.key));
        if (page.next === undefined) return keys;
        after = page.next;
      }
    };
    const expectInvisible = async (key: string): Promise<void> => {
      expect(await storage.head(key)).toEqual({ kind: 'absent' });
      expect(await storage.open(key)).toEqual({ kind: 'absent' });
      expect(await storage.readAll(key, 10)).toEqual({ kind: 'absent' });
      expect(await keysUnder('')).not.toContain(key);
    };

    describe('objects', () => {
      it('says absent, and nothing else, of what is not there', async () => {
        await expectInvisible('no/such');
        expect(await storage.readDocument('no/such')).toEqual({ kind: 'absent' });
        await storage.delete(['no/such', 'other']);
        expect(await keysUnder('')).toEqual([]);
      });

      it('returns what was put, with its length and time', async () => {
        const before = Date.now();
        await storage.put('a/b', bytesOf(100_000));
        const info = await storage.head('a/b');
        expect(info).toMatchObject({ kind: 'object', key: 'a/b', bytes: 100_000 });
        if (info.kind === 'absent') return;
        expect(info.modifiedAtMs).toBeGreaterThanOrEqual(before - 2000);
        expect(info.modifiedAtMs).toBeLessThanOrEqual(Date.now() + 2000);
        expect(await found(storage, 'a/b')).toEqual(bytesOf(100_000));
        const reader = await openReader('a/b');
        expect(reader.info).toEqual(info);
        await reader.close();
      });

      it('keeps empty objects', async () => {
        await storage.put('empty', new Uint8Array());
        expect(await found(storage, 'empty')).toEqual(new Uint8Array());
        const reader = await openReader('empty');
        expect(await readAllStream(reader.stream(), 10)).toEqual(new Uint8Array());
        await reader.close();
        await (await storage.openWriter('empty2')).commit();
        expect(await storage.head('empty2')).toMatchObject({ bytes: 0 });
      });

      it('replaces whole objects and shares no memory with its callers', async () => {
        const mine = bytesOf(10);
        await storage.put('k', mine);
        mine.fill(0xff);
        const first = await found(storage, 'k');
        expect(first).toEqual(bytesOf(10));
        first.fill(0xee);
        expect(await found(storage, 'k')).toEqual(bytesOf(10));
        await storage.put('k', bytesOf(3, 7));
        expect(await found(storage, 'k')).toEqual(bytesOf(3, 7));
      });

      it('reads no object that is larger than its reader takes', async () => {
        await storage.put('k', bytesOf(11));
        await expect(storage.readAll('k', 10)).rejects.toMatchObject({ code: 'limit_exceeded' });
        expect(await found(storage, 'k', 11)).toHaveLength(11);
      });

      it('lets one of 20 racing creators win and keeps its bytes', async () => {
        const results = await Promise.all(range(20).map((i) => storage.create('race/one', Uint8Array.of(i))));
        const winners = range(20).filter((i) => results[i] === 'created');
        expect(winners).toHaveLength(1);
        expect(await found(storage, 'race/one')).toEqual(Uint8Array.of(winners[0] as number));
        expect(await storage.create('race/one', Uint8Array.of(99))).toBe('exists');
        expect(await keysUnder('')).toEqual(['race/one']);
      });

      it('survives puts and deletes that race in one folder', async () => {
        await Promise.all(
          range(20).map(async (i) => {
            for (let turn = 0; turn < 5; turn++) {
              await storage.put(`deep/er/${i}`, Uint8Array.of(turn));
              await storage.delete([`deep/er/${i}`]);
            }
          }),
        );
        expect(await keysUnder('')).toEqual([]);
      });
    });

    describe('ranged and streamed reads', () => {
      const length = 3_000_001;

      it('reads exactly the ranges asked for, many at once', async () => {
        await storage.put('big', bytesOf(length));
        const reader = await openReader('big');
        const ranges = [
          [0, 0],
          [0, 1],
          [length - 1, 1],
          [length, 0],
          [262_143, 2],
          [65_536, 1_000_000],
          [0, length],
        ] as const;
        const read = await Promise.all(ranges.map(([offset, count]) => reader.read(offset, count)));
        for (const [i, [offset, count]] of ranges.entries()) {
          expect(equalBytes(read[i] as Uint8Array, bytesOf(length).subarray(offset, offset + count))).toBe(true);
        }
        await reader.close();
      });

      it.each([
        [-1, 1],
        [0, length + 1],
        [length, 1],
        [0.5, 1],
        [0, -1],
        [Number.NaN, 1],
        [0, Number.MAX_SAFE_INTEGER],
      ])('refuses the range %d+%d', async (offset, count) => {
        await storage.put('big', bytesOf(length));
        const reader = await openReader('big');
        await expect(reader.read(offset, count)).rejects.toMatchObject({ code: 'invalid_argument' });
        expect(() => reader.stream({ offset, length: count })).toThrow(
          expect.objectContaining({ code: 'invalid_argument' }),
        );
        await reader.close();
      });

      it('streams ranges in chunks of at least 64 KiB', async () => {
        await storage.put('big', bytesOf(length));
        const reader = await openReader('big');
        for (const [offset, count] of [
          [0, length],
          [5, 700_000],
          [length - 3, 3],
          [9, 0],
        ] as const) {
          const chunks: Uint8Array[] = [];
          for await (const chunk of iterateStream(reader.stream({ offset, length: count }))) chunks.push(chunk);
          for (const chunk of chunks.slice(0, -1)) expect(chunk.length).toBeGreaterThanOrEqual(65_536);
          expect(equalBytes(joined(chunks), bytesOf(length).subarray(offset, offset + count))).toBe(true);
        }
        await reader.close();
      });

      it('goes on reading after a stream was left', async () => {
        await storage.put('big', bytesOf(length));
        const reader = await openReader('big');
        for await (const chunk of iterateStream(reader.stream())) {
          expect(chunk.length).toBeGreaterThan(0);
          break;
        }
        await reader.stream().cancel();
        expect(await reader.read(10, 4)).toEqual(bytesOf(length).slice(10, 14));
        await reader.close();
      });

      it('ends reads and streams when the signal fires, and all of them when the reader closes', async () => {
        await storage.put('big', bytesOf(length));
        const reader = await openReader('big');
        const fired = AbortSignal.abort();
        await expect(reader.read(0, 1, fired)).rejects.toMatchObject({ code: 'aborted' });
        await expect(readAllStream(reader.stream(undefined, fired), length)).rejects.toMatchObject({ code: 'aborted' });
        const stream = reader.stream();
        await reader.close();
        await reader.close();
        await expect(readAllStream(stream, length)).rejects.toThrow();
        await expect(reader.read(0, 1)).rejects.toMatchObject({ code: 'invalid_argument' });
      });

      it('keeps an open object readable after its deletion and replacement', async () => {
        await storage.put('d/one', bytesOf(1_000_000));
        await storage.put('d/two', bytesOf(1_000_000));
        const one = await openReader('d/one');
        const two = await openReader('d/two');
        await storage.delete(['d/one']);
        await storage.put('d/two', bytesOf(5));
        await expectInvisible('d/one');
        expect(equalBytes(await one.read(0, 1_000_000), bytesOf(1_000_000))).toBe(true);
        expect(equalBytes(await readAllStream(two.stream(), 1_000_000), bytesOf(1_000_000))).toBe(true);
        await one.close();
        await two.close();
      });
    });

    describe('writers', () => {
      it('shows nothing until commit, then everything', async () => {
        const writer = await storage.openWriter('w/object');
        const chunks = [
          bytesOf(1),
          bytesOf(70_000, 3),
          bytesOf(10, 5),
          bytesOf(600_000, 9),
          bytesOf(255_999, 2),
          bytesOf(7),
        ];
        for (const chunk of chunks) {
          const given = chunk.slice();
          await writer.write(given);
          given.fill(0);
          await expectInvisible('w/object');
        }
        const whole = joined(chunks);
        expect(writer.bytesWritten).toBe(whole.length);
        await writer.commit();
        expect(equalBytes(await found(storage, 'w/object', whole.length), whole)).toBe(true);
        expect(await keysUnder('w')).toEqual(['w/object']);
      });

      it('takes a thousand small chunks and reads them back while it writes', async () => {
        const writer = await storage.openWriter('w');
        const whole = bytesOf(1_300_000);
        for (let at = 0; at < whole.length; at += 1300) {
          await writer.write(whole.subarray(at, at + 1300));
          if (at % 65_000 !== 0) continue;
          const [from, count] = [Math.floor(at / 2), Math.ceil(at / 2) + 1300];
          const [read] = await Promise.all([writer.read(from, count), writer.read(0, 1)]);
          expect(equalBytes(read, whole.subarray(from, from + count))).toBe(true);
        }
        await expect(writer.read(writer.bytesWritten, 1)).rejects.toMatchObject({ code: 'invalid_argument' });
        await writer.commit();
        expect(equalBytes(await found(storage, 'w', whole.length), whole)).toBe(true);
      });

      it('reads right while a write beside it flushes', async () => {
        const writer = await storage.openWriter('w');
        const whole = bytesOf(2_000_000);
        await writer.write(whole.subarray(0, 50_000));
        for (let at = 50_000; at < whole.length; at += 50_000) {
          const [, read] = await Promise.all([
            writer.write(whole.subarray(at, at + 50_000)),
            writer.read(at - 50_000, 50_000),
          ]);
          expect(equalBytes(read, whole.subarray(at - 50_000, at))).toBe(true);
        }
        await writer.abort();
      });

      it('rewrites the head, buffered or written', async () => {
        const writer = await storage.openWriter('w');
        await writer.write(bytesOf(12));
        await writer.rewriteHead(bytesOf(12, 9));
        expect(await writer.read(0, 12)).toEqual(bytesOf(12, 9));
        await writer.write(bytesOf(500_000, 1));
        await writer.rewriteHead(bytesOf(4, 77));
        const expected = joined([bytesOf(12, 9), bytesOf(500_000, 1)]);
        expected.set(bytesOf(4, 77));
        await expect(writer.rewriteHead(new Uint8Array(4097))).rejects.toMatchObject({ code: 'invalid_argument' });
        await writer.commit();
        expect(equalBytes(await found(storage, 'w', 1_000_000), expected)).toBe(true);
        const short = await storage.openWriter('s');
        await short.write(bytesOf(3));
        await expect(short.rewriteHead(bytesOf(4))).rejects.toMatchObject({ code: 'invalid_argument' });
        await short.abort();
      });

      it('replaces what was under the key, and racing writers leave one of them', async () => {
        await storage.put('w', bytesOf(5));
        const writers = await Promise.all(range(8).map(() => storage.openWriter('w')));
        await Promise.all(
          writers.map(async (writer, i) => {
            await writer.write(new Uint8Array(100_000).fill(i));
            await writer.commit();
          }),
        );
        const bytes = await found(storage, 'w', 100_000);
        expect(bytes).toHaveLength(100_000);
        expect(new Set(bytes).size).toBe(1);
      });

      it('leaves nothing when aborted at any point', async () => {
        const traces = await under.countTraces?.();
        const abortAt = async (prepare: (writer: StorageWriter) => Promise<void>): Promise<void> => {
          const writer = await storage.openWriter('w/x');
          await prepare(writer);
          await Promise.all([writer.abort(), writer.abort()]);
          await writer.abort();
          await expect(writer.write(bytesOf(1))).rejects.toMatchObject({ code: 'invalid_argument' });
          await expect(writer.commit()).rejects.toMatchObject({ code: 'invalid_argument' });
        };
        await abortAt(async () => undefined);
        await abortAt((writer) => writer.write(bytesOf(10)));
        await abortAt((writer) => writer.write(bytesOf(2_000_000)));
        await abortAt(async (writer) => {
          // Not awaited: the abort comes in mid-write.
          void writer.write(bytesOf(5_000_000)).catch(() => undefined);
        });
        await expectInvisible('w/x');
        expect(await keysUnder('')).toEqual([]);
        expect(await under.countTraces?.()).toEqual(traces);
      });

      it('leaves nothing when the source of a stream fails', async () => {
        const traces = await under.countTraces?.();
        async function* failing(): AsyncGenerator<Uint8Array> {
          yield bytesOf(300_000);
          yield bytesOf(300_000);
          throw new Error('upstream went away');
        }
        const writer = await storage.openWriter('w/x');
        await expect(
          (async () => {
            try {
              for await (const chunk of failing()) await writer.write(chunk);
              await writer.commit();
            } catch (error) {
              await writer.abort();
              throw error;
            }
          })(),
        ).rejects.toThrow('upstream went away');
        await expectInvisible('w/x');
        expect(await under.countTraces?.()).toEqual(traces);
      });

      it('is done after commit', async () => {
        const writer = await storage.openWriter('w');
        await writer.write(bytesOf(3));
        await writer.commit();
        await writer.abort();
        await expect(writer.commit()).rejects.toMatchObject({ code: 'invalid_argument' });
        expect(await found(storage, 'w')).toEqual(bytesOf(3));
      });
    });

    describe('documents', () => {
      it('are created once, replaced by version, and never seen as objects', async () => {
        const first = await storage.replaceDocument('d/doc', bytesOf(4), 'absent');
        expect(first.kind).toBe('replaced');
        expect(await storage.replaceDocument('d/doc', bytesOf(5), 'absent')).toEqual({ kind: 'lost' });
        const read = await storage.readDocument('d/doc');
        expect(read).toEqual({ kind: 'found', bytes: bytesOf(4), version: versionOf(first) });
        const second = await storage.replaceDocument('d/doc', bytesOf(1_048_576), versionOf(first));
        expect(second.kind).toBe('replaced');
        expect(await storage.replaceDocument('d/doc', bytesOf(6), versionOf(first))).toEqual({ kind: 'lost' });
        expect(await storage.replaceDocument('d/doc', bytesOf(6), '../../x')).toEqual({ kind: 'lost' });
        expect(await storage.replaceDocument('d/none', bytesOf(6), versionOf(first))).toEqual({ kind: 'lost' });
        expect(await storage.head('d/doc')).toEqual({ kind: 'absent' });
        expect(await storage.open('d/doc')).toEqual({ kind: 'absent' });
        const { objects } = await storage.list('');
        expect(objects).toMatchObject([{ kind: 'document', key: 'd/doc', bytes: 1_048_576 }]);
      });

      it('hold at most 1 MiB', async () => {
        await expect(storage.replaceDocument('d', bytesOf(1_048_577), 'absent')).rejects.toMatchObject({
          code: 'invalid_argument',
        });
        expect(await storage.readDocument('d')).toEqual({ kind: 'absent' });
      });

      it('go with delete, and a version never comes back', async () => {
        const first = await storage.replaceDocument('d/doc', bytesOf(1), 'absent');
        await storage.delete(['d/doc']);
        expect(await storage.readDocument('d/doc')).toEqual({ kind: 'absent' });
        expect(await keysUnder('')).toEqual([]);
        expect(await storage.replaceDocument('d/doc', bytesOf(2), versionOf(first))).toEqual({ kind: 'lost' });
        const again = await storage.replaceDocument('d/doc', bytesOf(1), 'absent');
        expect(again.kind).toBe('replaced');
        expect(versionOf(again)).not.toBe(versionOf(first));
        expect(await storage.replaceDocument('d/doc', bytesOf(2), versionOf(first))).toEqual({ kind: 'lost' });
      });

      it('let one of 20 creators and one of 20 replacers win', async () => {
        const traces = await under.countTraces?.();
        const race = async (expected: string): Promise<string> => {
          const results = await Promise.all(
            range(20).map((i) => storage.replaceDocument('doc', Uint8Array.of(i), expected)),
          );
          const winners = range(20).filter((i) => results[i]?.kind === 'replaced');
          expect(winners).toHaveLength(1);
          const winner = winners[0] as number;
          const version = versionOf(results[winner]);
          expect(await storage.readDocument('doc')).toEqual({ kind: 'found', bytes: Uint8Array.of(winner), version });
          return version;
        };
        let version = await race('absent');
        for (let round = 0; round < 5; round++) version = await race(version);
        await storage.delete(['doc']);
        expect(await under.countTraces?.()).toEqual(traces);
      });

      it('lose no increment of 20 writers, and readers see no value go back', async () => {
        const second = (await under.openSecond?.()) ?? storage;
        let writing = true;
        const reading = (async () => {
          let last = 0;
          while (writing) {
            const read = await second.readDocument('counter');
            if (read.kind === 'absent') expect(last).toBe(0);
            else {
              const value = Number(new TextDecoder().decode(read.bytes));
              expect(value).toBeGreaterThanOrEqual(last);
              last = value;
            }
            await new Promise((resolve) => setImmediate(resolve));
          }
        })();
        await Promise.all(
          range(20).map(async (i) => {
            for (let n = 0; n < 5; n++) await increment(i % 2 === 0 ? storage : second, 'counter');
          }),
        );
        writing = false;
        await reading;
        const final = await storage.readDocument('counter');
        expect(final.kind === 'found' && new TextDecoder().decode(final.bytes)).toBe('100');
        if (second !== storage) await second.close();
      });

      it('count exactly while others delete other documents of the folder', async () => {
        await Promise.all([
          ...range(4).map(async () => {
            for (let n = 0; n < 5; n++) await increment(storage, 'f/counter');
          }),
          ...range(4).map(async (i) => {
            for (let n = 0; n < 5; n++) {
              expect((await storage.replaceDocument(`f/${i}`, bytesOf(1), 'absent')).kind).toBe('replaced');
              await storage.delete([`f/${i}`]);
            }
          }),
        ]);
        const final = await storage.readDocument('f/counter');
        expect(final.kind === 'found' && new TextDecoder().decode(final.bytes)).toBe('20');
        expect(await keysUnder('')).toEqual(['f/counter']);
      });
    });

    describe('list', () => {
      it('pages over more than 1,000 keys in order, each once', async () => {
        const keys = range(1_205).map((i) => `many/${i % 7}/${String(i * 7919).padStart(8, '0')}`);
        for (let at = 0; at < keys.length; at += 50) {
          await Promise.all(keys.slice(at, at + 50).map((key) => storage.put(key, bytesOf(1))));
        }
        await storage.put('man', bytesOf(1));
        await storage.put('manz', bytesOf(1));
        keys.sort();
        const first = await storage.list('many/');
        expect(first.objects).toHaveLength(1000);
        expect(first.next).toBeDefined();
        expect(await keysUnder('many/')).toEqual(keys);
        const paged: string[] = [];
        for (let after = ''; ;) {
          const page = await storage.list('many/', { after, limit: 301 });
          expect(page.objects.length).toBeLessThanOrEqual(301);
          paged.push(...page.objects.map((object) => object.key));
          if (page.next === undefined) break;
          after = page.next;
        }
        expect(paged).toEqual(keys);
      });

      it('orders by bytes and takes prefixes as strings', async () => {
        const keys = ['a-b', 'a.b', 'a/b', 'a/b-c', 'a/c/d', 'a0', 'aa/x', 'B', 'b', '~t', 'Z/%20', '_x'];
        for (const key of keys) await storage.put(key, bytesOf(1));
        expect((await storage.replaceDocument('a-doc', bytesOf(1), 'absent')).kind).toBe('replaced');
        expect((await storage.replaceDocument('a/b.doc', bytesOf(1), 'absent')).kind).toBe('replaced');
        const all = [...keys, 'a-doc', 'a/b.doc'].sort();
        expect(await keysUnder('')).toEqual(all);
        for (const prefix of ['a', 'a/', 'a/b', 'a-', 'a/c', 'Z/%', 'zz', 'a/b/', 'b']) {
          expect(await keysUnder(prefix), prefix).toEqual(all.filter((key) => key.startsWith(prefix)));
        }
        for (const after of ['a', 'a/', 'a/b', 'a-z', 'a/c/d', '~~', 'A']) {
          const page = await storage.list('', { after });
          expect(
            page.objects.map((object) => object.key),
            after,
          ).toEqual(all.filter((key) => key > after));
        }
        for (let i = 0; i < all.length; i++) {
          const page = await storage.list('', { after: all[i] as string, limit: 1 });
          expect(page.objects.map((object) => object.key)).toEqual(all.slice(i + 1, i + 2));
          expect(page.next).toBe(i + 2 < all.length ? all[i + 1] : undefined);
        }
      });

      it.each([0, -1, 1001, 1.5])('refuses a page of %d', async (limit) => {
        await expect(storage.list('', { limit })).rejects.toMatchObject({ code: 'invalid_argument' });
      });
    });

    describe('keys', () => {
      const bad = [
        '',
        '/',
        '/a',
        'a/',
        'a//b',
        '.',
        '..',
        'a/../b',
        'a/./b',
        'a b',
        'a\\b',
        'a:b',
        'ä',
        'a@',
        'a\0',
        'a\n',
        'tmp',
        'tmp/x',
        'x'.repeat(251),
        'x/'.repeat(500) + 'x',
      ];
      it.each(bad)('refuses %j everywhere', async (key) => {
        const refused = { code: 'invalid_argument' } satisfies Partial<HotpackError>;
        await expect(storage.head(key)).rejects.toMatchObject(refused);
        await expect(storage.readAll(key, 1)).rejects.toMatchObject(refused);
        await expect(storage.open(key)).rejects.toMatchObject(refused);
        await expect(storage.put(key, bytesOf(1))).rejects.toMatchObject(refused);
        await expect(storage.create(key, bytesOf(1))).rejects.toMatchObject(refused);
        await expect(storage.openWriter(key)).rejects.toMatchObject(refused);
        await expect(storage.readDocument(key)).rejects.toMatchObject(refused);
        await expect(storage.replaceDocument(key, bytesOf(1), 'absent')).rejects.toMatchObject(refused);
        await storage.put('good', bytesOf(1));
        await expect(storage.delete(['good', key])).rejects.toMatchObject(refused);
        expect(await keysUnder('')).toEqual(['good']);
      });

      it.each(['/', '../', 'a//', 'a b', '\0', './a', '..//x'])('refuses the prefix %j', async (prefix) => {
        await expect(storage.list(prefix)).rejects.toMatchObject({ code: 'invalid_argument' });
      });

      it('takes the longest', async () => {
        const key = `${'x'.repeat(250)}/${'y'.repeat(250)}/${'z'.repeat(250)}/${'w'.repeat(247)}`;
        await storage.put(key, bytesOf(1));
        expect(await keysUnder('')).toEqual([key]);
        await storage.delete([key]);
        expect((await storage.replaceDocument(key, bytesOf(1), 'absent')).kind).toBe('replaced');
        expect(await keysUnder('x')).toEqual([key]);
      });
    });

    describe('abort, probe and close', () => {
      it('rejects with aborted and does nothing where the signal has fired', async () => {
        const traces = await under.countTraces?.();
        const signal = AbortSignal.abort();
        const aborted = { code: 'aborted' };
        await expect(storage.put('k', bytesOf(1), signal)).rejects.toMatchObject(aborted);
        await expect(storage.create('k', bytesOf(1), signal)).rejects.toMatchObject(aborted);
        await expect(storage.openWriter('k', signal)).rejects.toMatchObject(aborted);
        await expect(storage.replaceDocument('k', bytesOf(1), 'absent', signal)).rejects.toMatchObject(aborted);
        await expect(storage.head('k', signal)).rejects.toMatchObject(aborted);
        await expect(storage.open('k', signal)).rejects.toMatchObject(aborted);
        await expect(storage.readAll('k', 1, signal)).rejects.toMatchObject(aborted);
        await expect(storage.readDocument('k', signal)).rejects.toMatchObject(aborted);
        await expect(storage.probe(signal)).rejects.toMatchObject(aborted);
        await storage.put('k', bytesOf(1));
        await expect(storage.list('', {}, signal)).rejects.toMatchObject(aborted);
        await expect(storage.delete(['k'], signal)).rejects.toMatchObject(aborted);
        expect(await keysUnder('')).toEqual(['k']);
        await storage.delete(['k']);
        expect(await under.countTraces?.()).toEqual(traces);
      });

      it('probes without a trace', async () => {
        const traces = await under.countTraces?.();
        await storage.probe();
        expect(await under.countTraces?.()).toEqual(traces);
        expect(await keysUnder('')).toEqual([]);
      });

      it('aborts outstanding writers at close and answers no more', async () => {
        const writer = await storage.openWriter('w');
        await writer.write(bytesOf(100_000));
        await storage.close();
        await storage.close();
        await expect(writer.commit()).rejects.toMatchObject({ code: 'invalid_argument' });
        await expect(storage.head('w')).rejects.toMatchObject({ code: 'storage_unavailable' });
        await expect(storage.list('')).rejects.toMatchObject({ code: 'storage_unavailable' });
        await expect(storage.probe()).rejects.toMatchObject({ code: 'storage_unavailable' });
      });
    });

    describe('as an unstorage driver', () => {
      it('works below createStorage, mounted too, and keeps to its base', async () => {
        const unstorage = createStorage({ driver: storage });
        await unstorage.setItem('kv:one', { n: 1 });
        await unstorage.setItemRaw('kv:raw', Uint8Array.of(0, 255, 10));
        await unstorage.setItem('other:x', 'text');
        expect(await unstorage.getItem('kv:one')).toEqual({ n: 1 });
        expect(await unstorage.getItemRaw('kv:raw')).toEqual(Uint8Array.of(0, 255, 10));
        expect(await unstorage.getItem('kv:none')).toBeNull();
        expect(await unstorage.getItemRaw('kv:none')).toBeNull();
        expect(await unstorage.hasItem('kv:one')).toBe(true);
        expect(await unstorage.hasItem('kv:none')).toBe(false);
        expect((await unstorage.getKeys('kv')).sort()).toEqual(['kv:one', 'kv:raw']);
        await unstorage.setMeta('kv:raw', { note: 'n' });
        expect(await unstorage.getMeta('kv:raw')).toMatchObject({ size: 3, note: 'n' });
        expect((await unstorage.getKeys('kv')).sort()).toEqual(['kv:one', 'kv:raw']);
        expect(await found(storage, 'kv/raw')).toEqual(Uint8Array.of(0, 255, 10));
        await storage.replaceDocument('kv/doc', bytesOf(2), 'absent');
        expect(await unstorage.hasItem('kv:doc')).toBe(true);
        expect(await unstorage.getItemRaw('kv:doc')).toEqual(bytesOf(2));
        await unstorage.removeItem('kv:one');
        expect(await unstorage.hasItem('kv:one')).toBe(false);
        await storage.clear('kv:', {});
        expect(await unstorage.getKeys()).toEqual(['other:x']);
        await unstorage.clear();
        expect(await keysUnder('')).toEqual([]);
      });

      it('refuses values that are neither bytes nor text', async () => {
        await expect(Promise.resolve(storage.setItemRaw('k', 5, {}))).rejects.toMatchObject({
          code: 'invalid_argument',
        });
        await expect(Promise.resolve(storage.hasItem('a b', {}))).rejects.toMatchObject({ code: 'invalid_argument' });
      });
    });
  });
}

/** Bytes that tell where they stand, so that a shifted range shows. */
export function bytesOf(length: number, seed = 0): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = (i * 31 + (i >>> 8) * 17 + (i >>> 16) * 7 + seed) & 0xff;
  return bytes;
}

/** Adds one to a decimal document, as often as it takes. */
export async function increment(storage: DriverStorage, key: string): Promise<void> {
  while (true) {
    const read = await storage.readDocument(key);
    const value = read.kind === 'absent' ? 0 : Number(new TextDecoder().decode(read.bytes));
    const bytes = new TextEncoder().encode(String(value + 1));
    const result = await storage.replaceDocument(key, bytes, read.kind === 'absent' ? 'absent' : read.version);
    if (result.kind === 'replaced') return;
  }
}

async function found(storage: DriverStorage, key: string, maxBytes = 1_000_000): Promise<Uint8Array> {
  const read = await storage.readAll(key, maxBytes);
  if (read.kind === 'absent') throw new Error(`${key} is absent`);
  return read.bytes;
}

function versionOf(result: Awaited<ReturnType<DriverStorage['replaceDocument']>> | undefined): string {
  if (result?.kind !== 'replaced') throw new Error('the document was not replaced');
  return result.version;
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}

function joined(chunks: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(chunks));
}

/** Deep equality of large arrays takes vitest seconds. */
function equalBytes(left: Uint8Array, right: Uint8Array): boolean {
  return Buffer.compare(left, right) === 0;
}
