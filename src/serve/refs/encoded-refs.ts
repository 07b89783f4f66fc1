/**
 * What is said about refs and capabilities, as bytes: made once for each list and way of asking, given to everyone who asks like
 * that. They go with the list. Memory: for a list at most `MAX_WAYS` answers.
 */
import { WholeBody } from '../../bytes/whole-body.ts';

const MAX_WAYS = 8;
/** Ways of asking that take more to describe are nobody else's. */
const MAX_WAY_CHARS = 1_024;

const answersOf = new WeakMap<object, Map<string, Uint8Array>>();

/** `way`: all that `encode` depends on beside `list`. The bytes are shared: not to be written to. */
export function encodedOnce(list: object, way: string, encode: () => Uint8Array): Uint8Array {
  if (way.length > MAX_WAY_CHARS) return encode();
  let answers = answersOf.get(list);
  if (answers === undefined) answersOf.set(list, (answers = new Map()));
  const present = answers.get(way);
  if (present !== undefined) return present;
  const bytes = encode();
  const [oldest] = answers.size < MAX_WAYS ? [] : answers.keys();
  if (oldest !== undefined) answers.delete(oldest);
  answers.set(way, bytes);
  return bytes;
}

/** Longer ones are not copied once more for each response. */
const MAX_COPIED_BYTES = 16 * 1024;

/** A response's body of shared bytes. */
export function sharedBody(bytes: Uint8Array): BodyInit {
  return bytes.length > MAX_COPIED_BYTES ? new WholeBody([bytes]) : (bytes as BodyInit);
}
