/** The XML that S3 sends and takes (Amazon S3 API reference: ListObjectsV2, ListMultipartUploads, DeleteObjects, CompleteMultipartUpload). */
import { XMLBuilder, XMLParser } from 'fast-xml-parser';
import { BucketFailure } from '../bucket/bucket.ts';
import type { BucketObject, BucketPage } from '../bucket/bucket.ts';

type Element = Readonly<Record<string, unknown>>;

const parser = new XMLParser({
  parseTagValue: false,
  ignoreAttributes: true,
  // Character references too: servers write an etag's quotes as `&#34;`.
  htmlEntities: true,
  isArray: (name) => name === 'Contents' || name === 'Upload' || name === 'Error',
});
const builder = new XMLBuilder();

/** The code of an error; empty where the text holds none. */
export function parseErrorCode(text: string): string {
  return /<Code>([A-Za-z0-9.]{1,100})<\/Code>/.exec(text)?.[1] ?? '';
}

/** The element under the root `name`. An error in its place, which copies and completions send with status 200, throws. */
export function parseAnswer(text: string, name: string): Element {
  let root: Element;
  try {
    root = parser.parse(text) as Element;
  } catch (cause) {
    throw new BucketFailure('S3 answered with no XML', { isTransient: true, cause });
  }
  const element = root[name];
  if (element === undefined) {
    const code = parseErrorCode(text);
    const isTransient = /^(InternalError|SlowDown|ServiceUnavailable|RequestTimeout|OperationAborted)?$/.test(code);
    throw new BucketFailure(`S3 answered with ${code === '' ? `no ${name}` : code}`, { isTransient });
  }
  return typeof element === 'object' && element !== null ? (element as Element) : {};
}

/** Keys as the server has them. */
export function parseObjects(text: string): BucketPage {
  const result = parseAnswer(text, 'ListBucketResult');
  const decode = decoderOf(result);
  const objects = elements(result, 'Contents').map((object): BucketObject => ({
    key: decode(field(object, 'Key')),
    bytes: Number(field(object, 'Size')),
    etag: unquoted(field(object, 'ETag')),
    modifiedAtMs: Date.parse(field(object, 'LastModified')),
  }));
  const cursor = field(result, 'NextContinuationToken');
  return { objects, cursor: field(result, 'IsTruncated') === 'true' && cursor !== '' ? cursor : undefined };
}

export interface UploadsPage {
  readonly uploads: readonly { readonly key: string; readonly uploadId: string; readonly initiatedAtMs: number }[];
  /** Query parameters of the next page. */
  readonly next: Readonly<Record<string, string>> | undefined;
}

export function parseUploads(text: string): UploadsPage {
  const result = parseAnswer(text, 'ListMultipartUploadsResult');
  const decode = decoderOf(result);
  const uploads = elements(result, 'Upload').map((upload) => ({
    key: decode(field(upload, 'Key')),
    uploadId: field(upload, 'UploadId'),
    initiatedAtMs: Date.parse(field(upload, 'Initiated')),
  }));
  const next = {
    'key-marker': decode(field(result, 'NextKeyMarker')),
    'upload-id-marker': field(result, 'NextUploadIdMarker'),
  };
  return { uploads, next: field(result, 'IsTruncated') === 'true' && next['key-marker'] !== '' ? next : undefined };
}

/** Throws where a key was not deleted. */
export function assertDeleted(text: string): void {
  const [error] = elements(parseAnswer(text, 'DeleteResult'), 'Error');
  if (error === undefined) return;
  const code = field(error, 'Code');
  throw new BucketFailure(`S3 did not delete: ${code}`, { isTransient: /^(InternalError|SlowDown)$/.test(code) });
}

export function textOf(element: Element, name: string): string {
  return field(element, name);
}

export function unquoted(etag: string): string {
  return etag.replace(/^(?:W\/)?"|"$/g, '');
}

export function writeDelete(keys: readonly string[]): Uint8Array {
  return encode({ Delete: { Quiet: 'true', Object: keys.map((Key) => ({ Key })) } });
}

export function writeComplete(etags: readonly string[]): Uint8Array {
  const Part = etags.map((etag, index) => ({ PartNumber: index + 1, ETag: `"${etag}"` }));
  return encode({ CompleteMultipartUpload: { Part } });
}

function encode(root: Element): Uint8Array {
  return new TextEncoder().encode(builder.build(root));
}

function elements(element: Element, name: string): readonly Element[] {
  const found = element[name];
  return Array.isArray(found) ? (found as readonly Element[]) : [];
}

function field(element: Element, name: string): string {
  const value = element[name];
  return typeof value === 'string' ? value : '';
}

/** Keys may be asked for in URL encoding, since XML cannot hold every character; a server that does not do it says so. */
function decoderOf(result: Element): (text: string) => string {
  if (field(result, 'EncodingType') !== 'url') return (text) => text;
  return (text) => decodeURIComponent(text.replaceAll('+', '%20'));
}
