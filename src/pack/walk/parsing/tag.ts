/**
 * The head of a tag object: which object it names and of which type that is.
 */
import { OID_BYTES } from '../../../bytes/oid.ts';
import { OBJ_BLOB, OBJ_COMMIT, OBJ_TAG, OBJ_TREE, type ObjectType } from '../../codec/object-type.ts';
import { decodeHexName } from './hex-name.ts';

export type TagHead = { readonly target: Uint8Array; readonly type: ObjectType } | { readonly flaw: string };

const NEWLINE = 0x0a;
const TYPE_AT = 'object '.length + 2 * OID_BYTES + 1;
const LONGEST_TYPE_LINE = 'type commit\n'.length;
const TYPES: ReadonlyMap<string, ObjectType> = new Map<string, ObjectType>([
  ['commit', OBJ_COMMIT],
  ['tree', OBJ_TREE],
  ['blob', OBJ_BLOB],
  ['tag', OBJ_TAG],
]);

export function parseTagHead(content: Uint8Array): TagHead {
  const target = new Uint8Array(OID_BYTES);
  if (text(content, 0, 7) !== 'object ' || content[TYPE_AT - 1] !== NEWLINE) {
    return { flaw: 'no object line' };
  }
  if (!decodeHexName(content, 7, target, 0)) return { flaw: 'no object name in its object line' };
  const [line, rest] = text(content, TYPE_AT, TYPE_AT + LONGEST_TYPE_LINE).split('\n');
  const type = line?.startsWith('type ') ? TYPES.get(line.slice(5)) : undefined;
  if (type === undefined || rest === undefined) return { flaw: 'no type line' };
  return { target, type };
}

function text(content: Uint8Array, from: number, to: number): string {
  return String.fromCharCode(...content.subarray(from, to));
}
