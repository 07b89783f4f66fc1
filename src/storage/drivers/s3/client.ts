/**
 * One signed request to an S3 server and its answer (Amazon S3 API reference, "Authenticating Requests: Using the Authorization
 * Header"). The payload's hash is signed with it, so that a body that was damaged on its way is refused. Every request has a time
 * limit: for the answer's head, and for each piece of its body. No credential reaches an error: of what the server says only
 * the code of its error is told.
 */
import { createHash } from 'node:crypto';
import { AwsV4Signer } from 'aws4fetch';
import { abortError, createDeadline } from '../../../bytes/abort.ts';
import { BucketFailure } from '../bucket/bucket.ts';
import { limitIdle } from './idle-limit.ts';
import { parseErrorCode } from './xml.ts';

export interface S3Options {
  readonly bucket: string;
  /** Segments in front of every key, joined by `/`; empty: none. */
  readonly prefix: string;
  readonly region: string;
  /** A server that is asked for `/BUCKET/KEY`. Absent: Amazon's of the region. */
  readonly endpoint?: string | undefined;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
  /** Default: the runtime's. */
  readonly fetch?: (url: string, init: RequestInit) => Promise<Response>;
  /** Of a request and its answer while nothing moves, milliseconds. Default: 30,000. */
  readonly idleTimeoutMs?: number;
}

export interface S3Request {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE';
  /** Without the prefix; absent: the bucket itself. */
  readonly key?: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  /** Statuses that are answers and no failures, beside 200 to 299. */
  readonly expected?: readonly number[];
}

const IDLE_TIMEOUT_MS = 30_000;
/** A body that is sent slower than this, bytes a millisecond, is given up. */
const SLOWEST_UPLOAD = 100;
const MAX_ERROR_BYTES = 64 * 1024;
const NO_PAYLOAD = sha256(new Uint8Array());

export class S3Client {
  readonly #options: S3Options;
  readonly #base: string;
  readonly #fetch: (url: string, init: RequestInit) => Promise<Response>;
  /** Signing keys, one a day. */
  readonly #signingKeys = new Map<string, ArrayBuffer>();

  constructor(options: S3Options) {
    this.#options = options;
    this.#base = baseUrl(options);
    this.#fetch = options.fetch ?? ((url, init) => fetch(url, init));
  }

  /** As the server names the key: with the prefix. */
  fullKey(key: string): string {
    const { prefix } = this.#options;
    return prefix === '' ? key : `${prefix}/${key}`;
  }

  /** For `x-amz-copy-source`. */
  copySource(key: string): string {
    return `/${this.#options.bucket}/${encodePath(this.fullKey(key))}`;
  }

  /**
   * Rejects with `BucketFailure` unless the status is a good one; the body is the caller's to read or to cancel. The signal ends the
   * reading of the body, too.
   */
  async request(request: S3Request, signal?: AbortSignal): Promise<Response> {
    const idleMs = this.#options.idleTimeoutMs ?? IDLE_TIMEOUT_MS;
    const sendingMs = (request.body?.length ?? 0) / SLOWEST_UPLOAD;
    const aborter = new AbortController();
    const operation = `S3 ${request.method}`;
    const deadline = createDeadline({ parents: [signal], timeoutMs: idleMs + sendingMs, operation });
    const onEnd = (): void => aborter.abort(deadline.signal.reason);
    deadline.signal.addEventListener('abort', onEnd, { once: true });
    let response: Response;
    try {
      const { url, init } = await this.#sign(request);
      response = await this.#fetch(url, { ...init, signal: aborter.signal });
    } catch (error) {
      if (signal?.aborted === true) throw abortError(signal);
      const cause = deadline.signal.aborted ? abortError(deadline.signal) : error;
      throw new BucketFailure(`${operation} got no answer`, { isTransient: true, cause });
    } finally {
      deadline.dispose();
    }
    const { status, headers, body } = response;
    const answer =
      body === null ? response : new Response(limitIdle(body, { idleMs, aborter, signal }), { status, headers });
    if (!response.ok && !(request.expected ?? []).includes(status)) throw await failureOf(operation, answer);
    return answer;
  }

  async #sign({ method, key, query, headers, body }: S3Request): Promise<{ url: string; init: RequestInit }> {
    const { accessKeyId, secretAccessKey, sessionToken, region } = this.#options;
    const url = new URL(this.#base + (key === undefined ? '' : encodePath(this.fullKey(key))));
    for (const [name, value] of Object.entries(query ?? {})) url.searchParams.set(name, value);
    const payload = body === undefined ? NO_PAYLOAD : sha256(body);
    const signed = await new AwsV4Signer({
      method,
      url: url.href,
      headers: { ...headers, 'x-amz-content-sha256': payload },
      accessKeyId,
      secretAccessKey,
      ...(sessionToken === undefined ? {} : { sessionToken }),
      region,
      service: 's3',
      cache: this.#signingKeys,
    }).sign();
    // Not signed, since some proxies change it; ranges are of the bytes as they lie there.
    signed.headers.set('accept-encoding', 'identity');
    // A PUT of nothing has a length, too: real servers insist on it.
    const sent = body ?? (method === 'PUT' || method === 'POST' ? new Uint8Array() : undefined);
    return {
      url: signed.url.href,
      init: {
        method,
        headers: signed.headers,
        redirect: 'manual',
        ...(sent === undefined ? {} : { body: sent as BodyInit }),
      },
    };
  }
}

/** Statuses after which the same request may succeed: time-outs, conflicts of conditional writes, throttling, the server's own. */
function isTransient(status: number): boolean {
  return status === 408 || status === 409 || status === 425 || status === 429 || status >= 500;
}

async function failureOf(operation: string, response: Response): Promise<BucketFailure> {
  const { status } = response;
  const declared = Number(response.headers.get('content-length') ?? 0);
  let code = '';
  if (declared > MAX_ERROR_BYTES) await response.body?.cancel().catch(() => undefined);
  else code = parseErrorCode(await response.text().catch(() => ''));
  const said = code === '' ? '' : ` ${code}`;
  return new BucketFailure(`${operation} was answered with ${status}${said}`, { isTransient: isTransient(status) });
}

function baseUrl({ endpoint, bucket, region }: S3Options): string {
  if (endpoint !== undefined) return `${endpoint.replace(/\/+$/, '')}/${bucket}/`;
  // A dot in the name would not match the server's certificate.
  return bucket.includes('.')
    ? `https://s3.${region}.amazonaws.com/${bucket}/`
    : `https://${bucket}.s3.${region}.amazonaws.com/`;
}

/** Everything but RFC 3986's unreserved characters as `%XX`, slashes excepted. */
function encodePath(key: string): string {
  return encodeURIComponent(key)
    .replaceAll('%2F', '/')
    .replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
