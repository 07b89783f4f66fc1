/**
 * An object's name: the SHA-1 of `<type> <size>\0` and its content. Small objects are hashed in one update: whoever
 * makes content leaves `HEADROOM` bytes in front of it, into which the header is written.
 */
import type { Sha1 } from '../../bytes/sha1.ts';
import { createSha1, writeSha1Of } from '../../bytes/sha1.ts';
import type { ObjectType } from '../codec/object-type.ts';
import { OBJECT_TYPE_NAMES } from '../codec/object-type.ts';

/** `commit ` and 16 digits and NUL fit. */
export const HEADROOM = 32;

/** Where a name is written: 20 bytes at `at` of `names`. */
export interface NamePlace {
  readonly names: Uint8Array;
  readonly at: number;
}

/** Writes the name of the object whose `size` bytes lie at `HEADROOM` of `buffer`. Overwrites the headroom. */
export function hashInPlace(
  type: ObjectType,
  content: { readonly buffer: Uint8Array; readonly size: number },
  place: NamePlace,
): void {
  const { buffer, size } = content;
  const word = OBJECT_TYPE_NAMES[type];
  let at = HEADROOM - 1;
  buffer[at] = 0;
  let rest = size;
  do {
    buffer[--at] = 0x30 + (rest % 10);
    rest = Math.floor(rest / 10);
  } while (rest > 0);
  buffer[--at] = 0x20;
  for (let i = word.length - 1; i >= 0; i--) buffer[--at] = word.charCodeAt(i);
  writeSha1Of(buffer.subarray(at, HEADROOM + size), place.names, place.at);
}

/** A hash that has seen the header of an object of `size` bytes; its content comes in pieces. */
export function createObjectSha1(type: ObjectType, size: number): Sha1 {
  const header = `${OBJECT_TYPE_NAMES[type]} ${size}\0`;
  return createSha1().update(Uint8Array.from(header, (character) => character.charCodeAt(0)));
}
