/**
 * A set of object numbers, one bit a number of the whole range (objectCount / 8 bytes).
 */
export class Bitset {
  readonly size: number;
  readonly words: Uint32Array;

  constructor(size: number) {
    this.size = size;
    this.words = new Uint32Array((size + 31) >>> 5);
  }

  has(member: number): boolean {
    return (((this.words[member >>> 5] as number) >>> (member & 31)) & 1) === 1;
  }

  add(member: number): void {
    const word = member >>> 5;
    this.words[word] = (this.words[word] as number) | (1 << (member & 31));
  }

  get count(): number {
    let count = 0;
    const { words } = this;
    for (let index = 0; index < words.length; index++) {
      let word = words[index] as number;
      if (word === 0) continue;
      word -= (word >>> 1) & 0x55555555;
      word = (word & 0x33333333) + ((word >>> 2) & 0x33333333);
      count += Math.imul((word + (word >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
    }
    return count;
  }

  /** The members, ascending. */
  toNumbers(): Uint32Array {
    const { words } = this;
    const numbers = new Uint32Array(this.count);
    let filled = 0;
    for (let index = 0; index < words.length; index++) {
      for (let word = words[index] as number; word !== 0; word &= word - 1) {
        numbers[filled++] = (index << 5) + 31 - Math.clz32(word & -word);
      }
    }
    return numbers;
  }
}
