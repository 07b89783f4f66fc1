import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { TrailerCheck } from '../../../../src/pack/codec/trailer-check.ts';

test('a trailer is found wherever the bytes are cut, and a changed byte is seen', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.array(fc.nat(60)), fc.nat(), (body, cuts, at) => {
      const pack = new Uint8Array([...body, ...createHash('sha1').update(body).digest()]);
      const says = (bytes: Uint8Array): boolean => {
        const check = new TrailerCheck();
        let start = 0;
        for (const length of [...cuts, bytes.length]) {
          check.update(bytes.subarray(start, start + length));
          start += length;
        }
        return check.matches();
      };
      expect(says(pack)).toBe(true);
      const changed = pack.slice();
      changed[at % pack.length]! ^= 1;
      expect(says(changed)).toBe(false);
      expect(says(pack.subarray(0, 19))).toBe(false);
    }),
  );
});
