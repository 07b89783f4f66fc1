/** The operations of S3's API that the driver uses, as the API reference describes them. */
import type { IncomingHttpHeaders } from 'node:http';
import { S3Error, type S3Objects, type StoredObject } from './objects.ts';

export interface S3Call {
  readonly method: string;
  readonly bucket: string;
  /** Empty: the bucket itself. */
  readonly key: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface S3Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer | string;
}

/** The operation's name in the API reference. */
export function nameOf({ method, key, query, headers }: S3Call): string {
  if (key === '') {
    if (query.has('delete')) return 'DeleteObjects';
    return query.has('uploads') ? 'ListMultipartUploads' : 'ListObjectsV2';
  }
  if (query.has('uploads')) return 'CreateMultipartUpload';
  if (query.has('uploadId')) {
    if (method === 'POST') return 'CompleteMultipartUpload';
    if (method === 'DELETE') return 'AbortMultipartUpload';
    return headers['x-amz-copy-source'] === undefined ? 'UploadPart' : 'UploadPartCopy';
  }
  return { GET: 'GetObject', HEAD: 'HeadObject', PUT: 'PutObject', DELETE: 'DeleteObject' }[method] ?? method;
}

export function carryOut(store: S3Objects, call: S3Call): S3Answer {
  const { key, query, headers, body } = call;
  switch (nameOf(call)) {
    case 'GetObject':
    case 'HeadObject':
      return readObject(find(store, key), call);
    case 'PutObject': {
      store.assertWritable(key, headers);
      return { status: 200, headers: { etag: `"${store.put(key, body, metaOf(headers)).etag}"` } };
    }
    case 'DeleteObject':
      store.objects.delete(key);
      return { status: 204 };
    case 'DeleteObjects':
      return deleteObjects(store, call);
    case 'ListObjectsV2':
      return listObjects(store, query);
    case 'CreateMultipartUpload': {
      const uploadId = store.open(key, metaOf(headers));
      return xml(`<InitiateMultipartUploadResult><UploadId>${uploadId}</UploadId></InitiateMultipartUploadResult>`);
    }
    case 'UploadPart': {
      const etag = store.putPart(store.upload(key, query.get('uploadId')), Number(query.get('partNumber')), body);
      return { status: 200, headers: { etag: `"${etag}"` } };
    }
    case 'UploadPartCopy': {
      const source = decodeURIComponent(String(headers['x-amz-copy-source']))
        .replace(/^\//, '')
        .slice(call.bucket.length + 1);
      const upload = store.upload(key, query.get('uploadId'));
      const etag = store.putPart(upload, Number(query.get('partNumber')), find(store, source).bytes);
      // As servers in Go write it; Amazon's is &quot;, as in the listings here.
      return xml(`<CopyPartResult><ETag>&#34;${etag}&#34;</ETag></CopyPartResult>`);
    }
    case 'CompleteMultipartUpload': {
      const uploadId = query.get('uploadId') ?? '';
      const upload = store.upload(key, uploadId);
      const { etag } = store.complete(upload, uploadId, partsOf(body.toString('utf8')));
      return xml(`<CompleteMultipartUploadResult><ETag>&quot;${etag}&quot;</ETag></CompleteMultipartUploadResult>`);
    }
    case 'AbortMultipartUpload': {
      store.upload(key, query.get('uploadId'));
      store.uploads.delete(query.get('uploadId') ?? '');
      return { status: 204 };
    }
    case 'ListMultipartUploads':
      return listUploads(store, query);
    default:
      throw new S3Error(501, 'NotImplemented');
  }
}

export function errorAnswer(status: number, code: string): S3Answer {
  return { ...xml(`<Error><Code>${code}</Code><Message>refused by the test server</Message></Error>`), status };
}

function find(store: S3Objects, key: string): StoredObject {
  const object = store.objects.get(key);
  if (object === undefined) throw new S3Error(404, 'NoSuchKey');
  return object;
}

function readObject(object: StoredObject, { headers }: S3Call): S3Answer {
  const wanted = headers['if-match'];
  if (wanted !== undefined && wanted.replaceAll('"', '') !== object.etag) throw new S3Error(412, 'PreconditionFailed');
  const described = {
    etag: `"${object.etag}"`,
    'last-modified': new Date(object.modifiedAtMs).toUTCString(),
    'accept-ranges': 'bytes',
    ...object.meta,
  };
  const range = /^bytes=(\d+)-(\d*)$/.exec(headers.range ?? '');
  if (range === null) return { status: 200, headers: described, body: object.bytes };
  const [start, end] = [Number(range[1]), range[2] === '' ? Number.POSITIVE_INFINITY : Number(range[2])];
  if (start >= object.bytes.length) throw new S3Error(416, 'InvalidRange');
  const body = object.bytes.subarray(start, end + 1);
  const contentRange = `bytes ${start}-${start + body.length - 1}/${object.bytes.length}`;
  return { status: 206, headers: { ...described, 'content-range': contentRange }, body };
}

function deleteObjects(store: S3Objects, { headers, body }: S3Call): S3Answer {
  if (
    headers['content-md5'] === undefined &&
    !Object.keys(headers).some((name) => name.startsWith('x-amz-checksum-'))
  ) {
    throw new S3Error(400, 'InvalidRequest');
  }
  const keys = [...body.toString('utf8').matchAll(/<Key>([^<]*)<\/Key>/g)].map((match) => unescape(match[1] as string));
  if (keys.length > 1000) throw new S3Error(400, 'MalformedXML');
  for (const key of keys) store.objects.delete(key);
  return xml('<DeleteResult></DeleteResult>');
}

/** A continuation token is the last key of the page before, in base64, so that nobody takes it for a key. */
function listObjects(store: S3Objects, query: URLSearchParams): S3Answer {
  const token = query.get('continuation-token');
  const after = token === null ? (query.get('start-after') ?? '') : Buffer.from(token, 'base64').toString('utf8');
  const limit = Math.min(1000, Number(query.get('max-keys') ?? 1000));
  const keys = store.keys(query.get('prefix') ?? '', after);
  const page = keys.slice(0, limit);
  const isTruncated = keys.length > limit;
  const encode = encoder(query);
  const contents = page.map((key) => {
    const { bytes, etag, modifiedAtMs } = find(store, key);
    const modified = new Date(modifiedAtMs).toISOString();
    return `<Contents><Key>${encode(key)}</Key><LastModified>${modified}</LastModified><ETag>&quot;${etag}&quot;</ETag><Size>${bytes.length}</Size></Contents>`;
  });
  const next = isTruncated
    ? `<NextContinuationToken>${Buffer.from(page.at(-1) ?? '').toString('base64')}</NextContinuationToken>`
    : '';
  return xml(
    `<ListBucketResult>${encodingType(query)}<IsTruncated>${isTruncated}</IsTruncated>${next}${contents.join('')}</ListBucketResult>`,
  );
}

function listUploads(store: S3Objects, query: URLSearchParams): S3Answer {
  const prefix = query.get('prefix') ?? '';
  const [keyMarker, idMarker] = [query.get('key-marker') ?? '', query.get('upload-id-marker') ?? ''];
  const limit = Math.min(1000, Number(query.get('max-uploads') ?? 1000));
  const uploads = [...store.uploads]
    .map(([uploadId, { key, initiatedAtMs }]) => ({ uploadId, key, initiatedAtMs }))
    .filter(({ key, uploadId }) => key > keyMarker || (key === keyMarker && uploadId > idMarker))
    .filter(({ key }) => key.startsWith(prefix))
    .sort((left, right) => (`${left.key}\0${left.uploadId}` < `${right.key}\0${right.uploadId}` ? -1 : 1));
  const page = uploads.slice(0, limit);
  const encode = encoder(query);
  const last = page.at(-1);
  const next =
    uploads.length > limit && last !== undefined
      ? `<NextKeyMarker>${encode(last.key)}</NextKeyMarker><NextUploadIdMarker>${last.uploadId}</NextUploadIdMarker>`
      : '';
  const elements = page.map(
    ({ uploadId, key, initiatedAtMs }) =>
      `<Upload><Key>${encode(key)}</Key><UploadId>${uploadId}</UploadId><Initiated>${new Date(initiatedAtMs).toISOString()}</Initiated></Upload>`,
  );
  return xml(
    `<ListMultipartUploadsResult>${encodingType(query)}<IsTruncated>${next !== ''}</IsTruncated>${next}${elements.join('')}</ListMultipartUploadsResult>`,
  );
}

function partsOf(text: string): { number: number; etag: string }[] {
  return [...text.matchAll(/<Part>(.*?)<\/Part>/gs)].map((match) => ({
    number: Number(/<PartNumber>(\d+)</.exec(match[1] as string)?.[1]),
    etag: unescape(/<ETag>([^<]*)</.exec(match[1] as string)?.[1] ?? '').replaceAll('"', ''),
  }));
}

function metaOf(headers: IncomingHttpHeaders): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).filter((entry): entry is [string, string] => entry[0].startsWith('x-amz-meta-')),
  );
}

function encodingType(query: URLSearchParams): string {
  return query.get('encoding-type') === 'url' ? '<EncodingType>url</EncodingType>' : '';
}

function encoder(query: URLSearchParams): (key: string) => string {
  if (query.get('encoding-type') === 'url') return (key) => encodeURIComponent(key).replaceAll('%2F', '/');
  return (key) => key.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}

function unescape(text: string): string {
  const named: Readonly<Record<string, string>> = { quot: '"', apos: "'", lt: '<', gt: '>', amp: '&' };
  return text.replaceAll(/&(?:#(\d+)|(quot|apos|lt|gt|amp));/g, (_, code: string | undefined, name: string) =>
    code === undefined ? (named[name] as string) : String.fromCodePoint(Number(code)),
  );
}

function xml(element: string): S3Answer {
  return {
    status: 200,
    headers: { 'content-type': 'application/xml' },
    body: `<?xml version="1.0" encoding="UTF-8"?>\n${element}`,
  };
}
