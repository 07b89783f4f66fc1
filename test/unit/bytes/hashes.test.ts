import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { crc32 } from '../../../src/bytes/crc32.ts';
import { compareOidBytes, isOid, oidFromBytes, oidToBytes } from '../../../src/bytes/oid.ts';
import { createSha1, sha1HexOf, sha1Of, writeSha1Of } from '../../../src/bytes/sha1.ts';

const text = new TextEncoder();

describe('sha1', () => {
  it('names a blob as git does, however it is cut', () => {
    const content = 'what is hashed\n'.repeat(1000);
    const name = execFileSync('git', ['hash-object', '--stdin'], { input: content }).toString().trim();
    const whole = text.encode(`blob ${content.length}\0${content}`);
    expect(sha1HexOf(whole)).toBe(name);
    expect(oidFromBytes(sha1Of(whole))).toBe(name);
    const hash = createSha1();
    for (let at = 0; at < whole.length; at += 77) hash.update(whole.subarray(at, at + 77));
    expect(hash.hex()).toBe(name);
    const table = new Uint8Array(30);
    writeSha1Of(whole, table, 7);
    expect(oidFromBytes(table, 7)).toBe(name);
    expect(table.filter((byte) => byte !== 0).length).toBeLessThanOrEqual(20);
  });

  it('gives the same where the runtime has no call for it', async () => {
    vi.resetModules();
    vi.doMock('node:crypto', async (original) => ({ ...(await original<object>()), hash: undefined }));
    try {
      const without = await import('../../../src/bytes/sha1.ts');
      expect(without.sha1HexOf).not.toBe(sha1HexOf);
      for (const bytes of [text.encode(''), text.encode('blob 3\0abc')]) {
        expect(without.sha1HexOf(bytes)).toBe(sha1HexOf(bytes));
        expect(without.sha1Of(bytes)).toEqual(sha1Of(bytes));
      }
    } finally {
      vi.doUnmock('node:crypto');
    }
  });
});

describe('crc32', () => {
  it('gives the check value of the algorithm, and goes on from a seed', () => {
    expect(crc32(text.encode('123456789'))).toBe(0xcbf43926);
    expect(crc32(text.encode('6789'), crc32(text.encode('12345')))).toBe(0xcbf43926);
  });
});

describe('oid', () => {
  it('goes from hex to bytes and back', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 20, maxLength: 20 }), (bytes) => {
        const hex = Buffer.from(bytes).toString('hex');
        expect(oidFromBytes(bytes)).toBe(hex);
        expect(oidToBytes(hex)).toEqual(bytes);
      }),
    );
  });

  it('is 40 lower-case hex digits', () => {
    expect(isOid('0123456789abcdef0123456789abcdef01234567')).toBe(true);
    for (const other of ['', 'a'.repeat(39), 'a'.repeat(41), 'A'.repeat(40), 'g'.repeat(40), `${'a'.repeat(40)}\n`]) {
      expect(isOid(other)).toBe(false);
    }
  });

  it('is ordered as memcmp orders', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 40, maxLength: 40 }), (table) => {
        const expected = Buffer.compare(table.subarray(0, 20), table.subarray(20));
        expect(Math.sign(compareOidBytes(table, 0, table, 20))).toBe(expected);
      }),
    );
  });
});
