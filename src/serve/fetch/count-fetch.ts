/** Tells popularity of a fetch that was answered: never waited for, and nothing of the answer depends on it. */
import type { Oid } from '../../bytes/oid.ts';
import { advertisedOids } from '../../mirror/refs/tips.ts';
import { OBJECT_TYPE_NAMES } from '../../pack/codec/object-type.ts';
import { dependsOnWants, isClone } from '../../popularity/is-clone.ts';
import { requestShape } from '../../popularity/request-shape.ts';
import type { FetchRequest } from '../../protocol/fetch-request.ts';
import { tellAccepted } from '../body/accepted-body.ts';
import type { Serving } from '../services.ts';

/** A promisor asks for blobs by the thousand; the first few tell what they all are. */
const MAX_LOOKED_AT = 16;

type TypeHere = ReturnType<Parameters<typeof isClone>[1]['typeHere']>;

/** The same answer, counted: upstream's when its first bytes show that it is no refusal, any other at once. */
export function counted(serving: Serving, request: FetchRequest, response: Response): Response {
  if (response.headers.get('x-hotpack-source') === 'upstream' && response.body !== null) {
    return new Response(
      tellAccepted(response.body, () => countFetch(serving, request)),
      response,
    );
  }
  countFetch(serving, request);
  return response;
}

function countFetch(serving: Serving, request: FetchRequest): void {
  const refs = serving.mirror.knownRefs();
  const shown = refs && advertisedOids(refs);
  const isAdvertised = (oid: Oid): boolean => shown?.has(oid) ?? false;
  const count = (typeHere: (oid: Oid) => TypeHere): void => {
    const head = refs?.head;
    serving.popularity.countFetch({
      repo: serving.context.repository.name,
      isClone: isClone(request, { isAdvertised, typeHere }),
      shape: requestShape(request, { isAdvertised, headOid: head && 'oid' in head ? head.oid : undefined }),
      waitUntil: serving.context.waitUntil,
    });
  };
  if (!dependsOnWants(request) || request.wants.some(isAdvertised)) {
    count(() => undefined);
    return;
  }
  const looked = typesHere(serving, request.wants.slice(0, MAX_LOOKED_AT)).then((types) =>
    count((oid) => types.get(oid)),
  );
  const settled = looked.catch((error: unknown) => {
    serving.logger.debug('counts_failed', { repo: serving.context.repository.name, error });
  });
  serving.context.waitUntil?.(settled);
}

async function typesHere({ mirror }: Serving, oids: readonly Oid[]): Promise<ReadonlyMap<Oid, TypeHere>> {
  const types = new Map<Oid, TypeHere>();
  const snapshot = await mirror.snapshot();
  if (snapshot === undefined) return types;
  const { held, store } = snapshot;
  try {
    const shown = advertisedOids(held);
    for (const oid of oids) {
      const object = store.find(oid);
      // oxlint-disable-next-line no-await-in-loop -- few, and of no hurry
      const type = object < 0 ? undefined : shown.has(oid) ? 'commit' : OBJECT_TYPE_NAMES[await store.typeOf(object)];
      types.set(oid, type);
      if (type === 'commit' || type === 'tag') break;
    }
    return types;
  } finally {
    snapshot.release();
  }
}
