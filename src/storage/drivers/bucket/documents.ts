/**
 * Compare-and-swap of documents by conditional puts. A version is `<nonce>.<etag>`: the etag is the condition, the nonce tells
 * afterwards whose version it was. A put whose answer was lost may have taken place: where the next try is refused, the document is
 * read, and its nonces say what became of ours. It is there: replaced, now or once. It is not, but another one follows
 * the expected version: lost. Too many came meanwhile to tell, or the document is gone: `storage_unavailable`.
 */
import { ABSENT } from '../../contract.ts';
import type { Absent, Storage } from '../../contract.ts';
import type { Bucket, PutResult } from './bucket.ts';
import { BucketFailure } from './bucket.ts';
import { createNonce, documentKey, parseDocument, REMEMBERED_NONCES, writeDocument } from './document-format.ts';
import { withRetries } from './retry.ts';

const VERSION_PATTERN = /^([0-9a-f]{24}(?:-[0-9a-f]{24})*)\.([A-Za-z0-9-]+)$/;

type Found = { readonly kind: 'found'; readonly bytes: Uint8Array; readonly version: string };
type Replaced = Awaited<ReturnType<Storage['replaceDocument']>>;

export async function readDocument(bucket: Bucket, key: string, signal?: AbortSignal): Promise<Found | Absent> {
  const stored = documentKey(key);
  return withRetries(
    async () => {
      const found = await bucket.get(stored, {}, signal);
      if (found.kind !== 'body') return ABSENT;
      const { nonces, value } = parseDocument(key, new Uint8Array(await found.readAll()));
      return { kind: 'found', bytes: value, version: toVersion(nonces, found.object.etag) };
    },
    { signal },
  );
}

export async function replaceDocument(
  bucket: Bucket,
  change: { readonly key: string; readonly value: Uint8Array; readonly expected: string },
  signal?: AbortSignal,
): Promise<Replaced> {
  const { key, value, expected } = change;
  const replaced = parseVersion(expected);
  if (replaced === undefined) return { kind: 'lost' };
  const nonce = createNonce();
  const bytes = writeDocument(nonce, replaced.nonces, value);
  const stored = documentKey(key);
  const only = replaced.etag === '' ? ({ kind: 'absent' } as const) : ({ kind: 'etag', etag: replaced.etag } as const);
  let mayHaveTakenPlace = false;
  const result = await withRetries(
    async (failedBefore): Promise<PutResult> => {
      mayHaveTakenPlace = failedBefore > 0;
      return bucket.put(stored, bytes, { only, signal });
    },
    { signal },
  );
  if (result.kind === 'stored')
    return { kind: 'replaced', version: toVersion([nonce, ...replaced.nonces], result.etag) };
  if (!mayHaveTakenPlace) return { kind: 'lost' };
  return whatBecameOf({ bucket, key, nonce, before: replaced.nonces[0] }, signal);
}

async function whatBecameOf(
  ours: {
    readonly bucket: Bucket;
    readonly key: string;
    readonly nonce: string;
    /** The version that was to be replaced; absent: there was none. */
    readonly before: string | undefined;
  },
  signal: AbortSignal | undefined,
): Promise<Replaced> {
  const now = await readDocument(ours.bucket, ours.key, signal);
  if (now.kind === 'found') {
    const nonces = parseVersion(now.version)?.nonces ?? [];
    // Where others have replaced ours, theirs is the version that is told: it is not ours to replace without a look at it.
    if (nonces[0] === ours.nonce) return { kind: 'replaced', version: now.version };
    if (nonces.includes(ours.nonce)) return { kind: 'replaced', version: `${ours.nonce}.replaced` };
    const isWholeStory = nonces.length < REMEMBERED_NONCES;
    if (ours.before === undefined ? isWholeStory : nonces.includes(ours.before)) return { kind: 'lost' };
  }
  throw new BucketFailure('whether a document was replaced cannot be told', { isTransient: false });
}

function toVersion(nonces: readonly string[], etag: string): string {
  return `${nonces.join('-')}.${etag}`;
}

/** What a version says; of `absent` there is nothing. `undefined`: no version of ours. */
function parseVersion(version: string): { readonly nonces: readonly string[]; readonly etag: string } | undefined {
  if (version === 'absent') return { nonces: [], etag: '' };
  const match = VERSION_PATTERN.exec(version);
  return match === null ? undefined : { nonces: (match[1] as string).split('-'), etag: match[2] as string };
}
