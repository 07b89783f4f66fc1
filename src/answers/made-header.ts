/** What a header says of an answer as it was made. */
import type { AnswerQuestion } from './answer-key.ts';
import type { HeaderFields } from './stored/answer-spool.ts';
import type { Made } from './contract.ts';

/** `packBytes`: 0 until it is whole. */
export function headerOfMade({ tags }: AnswerQuestion, made: Made, packBytes: number): HeaderFields {
  const { shallow, unshallow } = made.header.shallowInfo ?? { shallow: [], unshallow: [] };
  return { packBytes, objects: made.objects(), costUs: made.costUs(packBytes), tags, shallow, unshallow };
}
