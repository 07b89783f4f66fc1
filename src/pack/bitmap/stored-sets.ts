/**
 * Sets of what certain commits reach, and how their bits stand for the objects of a store: what a walk needs of them
 * while it makes further sets.
 */
import type { ObjectType } from '../codec/object-type.ts';

export interface StoredSets {
  /** Bits of a set: one for every object of the store. */
  readonly bits: number;
  /** Of these, the first so many are objects of the bitmapped pack: stored sets have no others. */
  readonly packBits: number;
  /** The bit of a (canonical) object number. */
  bitOf(object: number): number;
  /** The (canonical) object number of a bit. */
  objectAt(bit: number): number;
  /** The type of an object of the bitmapped pack; undefined where that is not known. */
  typeAt(bit: number): ObjectType | undefined;
  /** Which stored set is that of `commit`, or -1. Sets of lower rows are of newer commits, as we write them. */
  rowOf(commit: number): number;
  /** Adds what the commit of `row` reaches, itself included, to `words`. */
  orInto(row: number, words: Uint32Array): void;
}
