/**
 * Object types as numbered in pack entries (gitformat-pack, "Object types").
 */
export const OBJ_COMMIT = 1;
export const OBJ_TREE = 2;
export const OBJ_BLOB = 3;
export const OBJ_TAG = 4;
export const OBJ_OFS_DELTA = 6;
export const OBJ_REF_DELTA = 7;

/** A type that an object itself can have (deltas take their base's). */
export type ObjectType = typeof OBJ_COMMIT | typeof OBJ_TREE | typeof OBJ_BLOB | typeof OBJ_TAG;
export type EntryType = ObjectType | typeof OBJ_OFS_DELTA | typeof OBJ_REF_DELTA;

export const OBJECT_TYPE_NAMES: Readonly<Record<ObjectType, 'commit' | 'tree' | 'blob' | 'tag'>> = {
  [OBJ_COMMIT]: 'commit',
  [OBJ_TREE]: 'tree',
  [OBJ_BLOB]: 'blob',
  [OBJ_TAG]: 'tag',
};
