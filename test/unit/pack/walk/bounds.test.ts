import { describe, expect, it } from 'vitest';
import type { ObjectType } from '../../../../src/pack/codec/object-type.ts';
import type { GitObject, ObjectStore } from '../../../../src/pack/object-store.ts';
import type { SelectionQuery } from '../../../../src/pack/selection.ts';
import { isReady } from '../../../../src/pack/walk/negotiate.ts';
import { CommitHead, parseCommitHead } from '../../../../src/pack/walk/parsing/commit.ts';
import { parseTagHead } from '../../../../src/pack/walk/parsing/tag.ts';
import { TreeCursor } from '../../../../src/pack/walk/parsing/tree.ts';
import { closure, reachesAll } from '../../../../src/pack/walk/reachable.ts';
import { selectObjects } from '../../../../src/pack/walk/select-objects.ts';

const signal = new AbortController().signal;
const name = (object: number): string => object.toString(16).padStart(40, '0');
const bytes = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'latin1'));

/** Objects that are made when they are read, each named by its number: so a million of them cost nothing. */
function imaginaryStore(
  objectCount: number,
  make: (object: number) => { type: ObjectType; text: string },
): ObjectStore {
  const object = (number: number): GitObject => {
    const { type, text } = make(number);
    return { type, content: bytes(text) };
  };
  const find = (oid: string): number => (Number.parseInt(oid, 16) < objectCount ? Number.parseInt(oid, 16) : -1);
  return {
    objectCount,
    find,
    findBytes: (table, offset) => {
      const number = new DataView(table.buffer, table.byteOffset + offset + 16, 4).getUint32(0);
      return number < objectCount ? number : -1;
    },
    oidOf: name,
    copyOid: () => undefined,
    readCached: object,
    read: async (number) => await Promise.resolve(object(number)),
    typeOf: async (number) => await Promise.resolve(make(number).type),
    sizeOf: async (number) => await Promise.resolve(object(number).content.length),
  };
}

const commit = (tree: number, parents: readonly number[], seconds: number) => ({
  type: 1 as const,
  text: [
    `tree ${name(tree)}`,
    ...parents.map((parent) => `parent ${name(parent)}`),
    'author A <a@example.com> 1 +0000',
    `committer C <c@example.com> ${seconds} +0000`,
    '',
    'x',
  ].join('\n'),
});
const entry = (mode: string, path: string, object: number): string =>
  `${mode} ${path}\0${Buffer.from(name(object), 'hex').toString('latin1')}`;

const query = (wants: string[], haves: string[] = []): SelectionQuery => ({
  wants,
  haves,
  shallows: [],
  deepen: { kind: 'none' },
  filter: { kind: 'none' },
  includeTags: [],
  thin: true,
});

describe('long and deep histories', () => {
  const LENGTH = 1_000_000;
  // Object 0 is the tree of all commits; 1 … LENGTH are a line of commits.
  const line = imaginaryStore(LENGTH + 1, (object) => {
    if (object === 0) return { type: 2, text: '' };
    return commit(0, object === 1 ? [] : [object - 1], object);
  });

  it('walks a million commits', async () => {
    let turns = 0;
    const ticking = setInterval(() => turns++, 0);
    const selection = await selectObjects(line, query([name(LENGTH)]), { signal });
    clearInterval(ticking);
    expect(selection.objects).toHaveLength(LENGTH + 1);
    expect(turns).toBeGreaterThan(20);
    const reached = await reachesAll(line, { tips: [name(LENGTH)], targets: [name(1)] }, { signal });
    expect([...reached]).toEqual([name(1)]);
    expect(await isReady(line, { wants: [name(LENGTH)], common: [name(1)] }, { signal })).toBe(true);
  });

  it('marks a million ancestors that turn out to be known', async () => {
    const selection = await selectObjects(line, query([name(LENGTH)], [name(LENGTH - 1)]), { signal });
    expect([...selection.objects]).toEqual([LENGTH]);
  });

  it('stops in the middle when aborted', async () => {
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 0);
    await expect(closure(line, [name(LENGTH)], { signal: controller.signal })).rejects.toMatchObject({
      code: 'aborted',
    });
  });

  it('walks trees 50,000 deep and a merge of 10,000', async () => {
    const DEPTH = 50_000;
    const PARENTS = 10_000;
    const tip = DEPTH + PARENTS;
    const deep = imaginaryStore(tip + 1, (object) => {
      if (object < DEPTH) return { type: 2, text: object === 0 ? '' : entry('40000', 'd', object - 1) };
      if (object < tip) return commit(0, [], 5);
      return commit(
        DEPTH - 1,
        Array.from({ length: PARENTS }, (_, index) => DEPTH + index),
        9,
      );
    });
    expect((await selectObjects(deep, query([name(tip)]), { signal })).objects).toHaveLength(tip + 1);
    expect((await closure(deep, [name(tip)], { signal })).count).toBe(tip + 1);
    const some = await selectObjects(deep, query([name(tip)], [name(DEPTH)]), { signal });
    expect(some.objects).toHaveLength(tip + 1 - 2);
  });
});

describe('a tree at two depths', () => {
  it.each([true, false])('is entered again where it is found less deep (deeper one named first: %s)', async (first) => {
    // 0 a blob, 1 the tree that holds it, at depth 2 in tree 2 and at depth 3 in tree 4 in tree 3.
    const [one, other] = first ? [3, 2] : [2, 3];
    const store = imaginaryStore(7, (object) => {
      if (object === 6) return commit(5, [], 5);
      if (object === 5) return { type: 2, text: entry('40000', 'a', one) + entry('40000', 'z', other) };
      if (object === 3) return { type: 2, text: entry('40000', 'c', 4) };
      if (object === 2 || object === 4) return { type: 2, text: entry('40000', 't', 1) };
      return object === 1 ? { type: 2, text: entry('100644', 'f', 0) } : { type: 3, text: 'x' };
    });
    const asked: SelectionQuery = { ...query([name(6)]), filter: { kind: 'tree', depth: 4 } };
    expect([...(await selectObjects(store, asked, { signal })).objects]).toEqual([0, 1, 2, 3, 4, 5, 6]);
  });
});

describe('malformed objects', () => {
  it.each([
    ['', 'no tree line'],
    ['tree 12\n', 'no tree line'],
    [`tree ${'g'.repeat(40)}\n`, 'no object name in its tree line'],
    [`tree ${name(1)}\nparent ${name(2)}`, 'a parent line of the wrong length'],
    [`tree ${name(1)}\nparent ${'z'.repeat(40)}\n`, 'no object name in a parent line'],
  ])('says what is wrong with the commit %j', (text, flaw) => {
    expect(parseCommitHead(bytes(text), new CommitHead())).toBe(flaw);
  });

  it.each([
    ['author A <a> 1 +0000\ncommitter C <c> 77 +0000\n', 77],
    ['author A <a> 1 +0000\ncommitter C <c> \n', 0],
    ['author A <a> 1 +0000\n', 0],
    ['committer C <c> 77 +0000\n', 0],
    [`author A <a> 1 +0000\ncommitter C <c> ${'9'.repeat(30)} +0000\n`, Number.MAX_SAFE_INTEGER],
  ])('reads the time of %j', (rest, seconds) => {
    const head = new CommitHead();
    expect(parseCommitHead(bytes(`tree ${name(1)}\n${rest}`), head)).toBeUndefined();
    expect(head.committerSeconds).toBe(seconds);
  });

  it.each([
    ['10064 ', 'a cut entry'],
    ['100644 name', 'a cut entry'],
    ['100644 name\0short', 'a cut entry'],
    [`100644 \0${'x'.repeat(20)}`, 'an entry without a name'],
    [`10x644 a\0${'x'.repeat(20)}`, 'a malformed mode'],
    [` a\0${'x'.repeat(20)}`, 'a malformed mode'],
    ['100644', 'a malformed mode'],
  ])('says what is wrong with the tree %j', (text, flaw) => {
    const cursor = new TreeCursor();
    cursor.open(bytes(text));
    expect(cursor.next()).toBe(false);
    expect(cursor.flaw).toBe(flaw);
  });

  it.each(['', `object ${name(1)}`, `object ${name(1)}\ntype commit`, `object ${name(1)}\ntype cat\ntag x\n`])(
    'refuses the tag %j',
    (text) => {
      expect(parseTagHead(bytes(text))).toHaveProperty('flaw');
    },
  );

  it('names the object that is malformed or of another type than it is referred to', async () => {
    const broken = imaginaryStore(3, (object) => {
      if (object === 2) return commit(1, [], 5);
      return object === 1 ? { type: 2, text: entry('40000', 'd', 0) } : { type: 3, text: 'a blob' };
    });
    const malformed = { code: 'malformed_pack', detail: { object: name(0) } };
    await expect(selectObjects(broken, query([name(2)]), { signal })).rejects.toMatchObject(malformed);
    await expect(closure(broken, [name(2)], { signal })).rejects.toMatchObject(malformed);
  });
});
