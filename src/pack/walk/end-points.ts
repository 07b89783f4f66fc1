/**
 * What a list of names comes to, once tags are followed to what they finally name.
 */
import { OBJ_BLOB, OBJ_COMMIT, OBJ_TAG, OBJ_TREE } from '../codec/object-type.ts';
import { malformedObject } from './parsing/malformed-object.ts';
import { missingReference, type WalkContext } from './walk-context.ts';

/** Object numbers by type, in the order of the list; an object that is named twice stands there twice. */
export interface EndPoints {
  readonly commits: number[];
  readonly trees: number[];
  readonly blobs: number[];
  /** Every tag on the way. */
  readonly tags: number[];
}

/** No one nests tags this deep; a chain cannot be a circle, but it could be made very long. */
const MAX_TAG_CHAIN = 10_000;

export function noEndPoints(): EndPoints {
  return { commits: [], trees: [], blobs: [], tags: [] };
}

/** Adds `object` and, where it is a tag, the chain it begins. */
export async function addToEndPoints(context: WalkContext, object: number, points: EndPoints): Promise<void> {
  const { store, graph } = context;
  if (graph.slotOf(object) >= 0) {
    points.commits.push(object);
    return;
  }
  let type = await context.typeOf(object);
  let at = object;
  for (let length = 0; type === OBJ_TAG; length++) {
    if (length === MAX_TAG_CHAIN) throw malformedObject(store, object, 'too long a chain of tags');
    points.tags.push(at);
    const { target, type: targetType } = await context.tag(at);
    if (target < 0) throw missingReference(store, at);
    at = target;
    type = targetType;
  }
  if (type === OBJ_COMMIT) points.commits.push(at);
  else if (type === OBJ_TREE) points.trees.push(at);
  else if (type === OBJ_BLOB) points.blobs.push(at);
}
