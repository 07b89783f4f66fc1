/**
 * The refs whose closure is here, as git keeps them: `packed-refs` (sorted, fully peeled; gitrepository-layout) and `HEAD`.
 */
import { isOid } from '../../bytes/oid.ts';
import { bytesFromText, textFromBytes } from '../../protocol/pkt-line/text.ts';
import type { Head, Ref, RefsSnapshot } from '../../protocol/refs-snapshot.ts';

const HEADER = '# pack-refs with: peeled fully-peeled sorted \n';

export function writePackedRefs(refs: readonly Ref[]): Uint8Array {
  const lines = refs
    .filter((ref) => isSafeRefName(ref.name))
    .map((ref) => ({ ref, bytes: bytesFromText(ref.name) }))
    .toSorted((left, right) => compareBytes(left.bytes, right.bytes))
    .map(({ ref }) => `${ref.oid} ${ref.name}\n${ref.peeled === undefined ? '' : `^${ref.peeled}\n`}`);
  return bytesFromText(HEADER + lines.join(''));
}

/** git looks names up by bisection in the order of their bytes, which is not the order of their characters. */
function compareBytes(left: Uint8Array, right: Uint8Array): number {
  const length = Math.min(left.length, right.length);
  for (let i = 0; i < length; i++) {
    const difference = (left[i] as number) - (right[i] as number);
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}

/** Reads what `writePackedRefs` wrote; lines of another form are passed over. */
export function parsePackedRefs(bytes: Uint8Array): readonly Ref[] {
  const refs: Ref[] = [];
  for (const line of textFromBytes(bytes).split('\n')) {
    const last = refs.at(-1);
    if (line.startsWith('^')) {
      if (last !== undefined && isOid(line.slice(1))) refs[refs.length - 1] = { ...last, peeled: line.slice(1) };
    } else if (isOid(line.slice(0, 40)) && line[40] === ' ') {
      refs.push({ oid: line.slice(0, 40), name: line.slice(41) });
    }
  }
  return refs;
}

/** A `HEAD` that names nothing points to `refs/heads/main`, as in a repository just made. */
export function writeHead(head: Head): Uint8Array {
  const text =
    head.kind === 'detached'
      ? `${head.oid}\n`
      : `ref: ${head.kind === 'absent' || !isSafeRefName(head.target) ? 'refs/heads/main' : head.target}\n`;
  return bytesFromText(text);
}

export function parseHead(bytes: Uint8Array, refs: readonly Ref[]): Head {
  const text = textFromBytes(bytes).trimEnd();
  if (isOid(text)) return { kind: 'detached', oid: text };
  if (!text.startsWith('ref: ')) return { kind: 'absent' };
  const target = text.slice(5);
  const found = refs.find((ref) => ref.name === target);
  return found === undefined ? { kind: 'unborn', target } : { kind: 'symref', target, oid: found.oid };
}

/** The refs of `snapshot` whose object `isHere`. A HEAD that is not here becomes the branch it names, unborn. */
export function heldOf(snapshot: RefsSnapshot, isHere: (oid: string) => boolean): RefsSnapshot {
  const { head } = snapshot;
  const refs = snapshot.refs.filter((ref) => isHere(ref.oid));
  if (head.kind === 'symref' && !isHere(head.oid)) return { refs, head: { kind: 'unborn', target: head.target } };
  if (head.kind === 'detached' && !isHere(head.oid)) return { refs, head: { kind: 'absent' } };
  return { refs, head };
}

/** git-check-ref-format's rules as far as a name could harm a repository or the lines of a file. */
function isSafeRefName(name: string): boolean {
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  if (!name.startsWith('refs/') || /[\u0000-\u0020~^:?*[\\\u007f]|\.\.|@\{|\/\/|\.$|\/$/.test(name)) return false;
  return name.split('/').every((part) => !part.startsWith('.') && !part.endsWith('.lock') && part !== '');
}
