import { HotpackError } from '../../../bytes/error.ts';
import type { ObjectStore } from '../../object-store.ts';
import { OBJECT_TYPE_NAMES, type ObjectType } from '../../codec/object-type.ts';

/** The error for an object of `store` whose content breaks its format; it names the object and the flaw. */
export function malformedObject(store: ObjectStore, object: number, flaw: string): HotpackError {
  const oid = store.oidOf(object);
  return new HotpackError('malformed_pack', `object ${oid} has ${flaw}`, {
    detail: { object: oid, flaw },
  });
}

/** The error for an object that is referred to as `expected` but is something else. */
export function wrongType(
  store: ObjectStore,
  object: number,
  types: { readonly expected: ObjectType; readonly found: ObjectType },
): HotpackError {
  const expected = OBJECT_TYPE_NAMES[types.expected];
  const found = OBJECT_TYPE_NAMES[types.found];
  return malformedObject(store, object, `the type ${found} where a ${expected} is referred to`);
}
