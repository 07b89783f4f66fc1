/**
 * Checks a request's signature, version 4, from Amazon's description of it ("Signature Calculations for the Authorization Header"), with
 * nothing that a client of ours uses: what it takes, Amazon takes.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

const AUTHORIZATION =
  /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/s3\/aws4_request, *SignedHeaders=([^,]+), *Signature=([0-9a-f]{64})$/;
const MAX_SKEW_MS = 15 * 60 * 1000;

/** The code of the error that Amazon would answer with, all of them with status 403 but the last. */
export type Refusal =
  | 'AccessDenied'
  | 'InvalidAccessKeyId'
  | 'InvalidToken'
  | 'SignatureDoesNotMatch'
  | 'RequestTimeTooSkewed'
  | 'XAmzContentSHA256Mismatch';

export function refusalOf(
  request: IncomingMessage,
  body: Uint8Array,
  expected: Credentials & { readonly region: string },
): Refusal | undefined {
  const match = AUTHORIZATION.exec(header(request, 'authorization'));
  if (match === null) return 'AccessDenied';
  const [, accessKeyId, date, region, signedHeaders, signature] = match as unknown as [string, ...string[]] & string[];
  if (accessKeyId !== expected.accessKeyId) return 'InvalidAccessKeyId';
  if ((expected.sessionToken ?? '') !== header(request, 'x-amz-security-token')) return 'InvalidToken';
  const time = header(request, 'x-amz-date');
  const names = (signedHeaders as string).split(';');
  const mustBeSigned = Object.keys(request.headers).filter((name) => name === 'host' || name.startsWith('x-amz-'));
  const isComplete = mustBeSigned.every((name) => names.includes(name));
  if (!isComplete || !time.startsWith(date as string) || region !== expected.region) return 'SignatureDoesNotMatch';

  const payload = header(request, 'x-amz-content-sha256');
  const canonicalRequest = [
    request.method,
    canonicalPath(request.url ?? '/'),
    canonicalQuery(request.url ?? '/'),
    ...names.map((name) => `${name}:${header(request, name).trim().replaceAll(/ +/g, ' ')}`),
    '',
    signedHeaders,
    payload,
  ].join('\n');
  const scope = `${date}/${region}/s3/aws4_request`;
  const text = ['AWS4-HMAC-SHA256', time, scope, sha256(canonicalRequest)].join('\n');
  let key = hmac(`AWS4${expected.secretAccessKey}`, date as string);
  for (const step of [region as string, 's3', 'aws4_request']) key = hmac(key, step);
  if (!timingSafeEqual(hmac(key, text), Buffer.from(signature as string, 'hex'))) return 'SignatureDoesNotMatch';
  if (Math.abs(Date.now() - parseTime(time)) > MAX_SKEW_MS) return 'RequestTimeTooSkewed';
  return payload === 'UNSIGNED-PAYLOAD' || payload === sha256(body) ? undefined : 'XAmzContentSHA256Mismatch';
}

function header(request: IncomingMessage, name: string): string {
  const value = request.headers[name];
  return Array.isArray(value) ? value.join(',') : (value ?? '');
}

function canonicalPath(url: string): string {
  return (url.split('?')[0] as string)
    .split('/')
    .map((segment) => encode(decodeURIComponent(segment)))
    .join('/');
}

function canonicalQuery(url: string): string {
  const query = url.split('?')[1] ?? '';
  return query
    .split('&')
    .filter((pair) => pair !== '')
    .map((pair) => pair.split('=').map((part) => encode(decodeURIComponent(part))))
    .map(([name, value]) => `${name}=${value ?? ''}`)
    .sort((left, right) => (left < right ? -1 : 1))
    .join('&');
}

function encode(text: string): string {
  return Array.from(Buffer.from(text), (byte) => {
    const character = String.fromCharCode(byte);
    return /[A-Za-z0-9._~-]/.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }).join('');
}

function parseTime(time: string): number {
  return Date.parse(time.replace(/^(....)(..)(..)T(..)(..)(..)Z$/, '$1-$2-$3T$4:$5:$6Z'));
}

function sha256(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}

function hmac(key: string | Buffer, data: string): Buffer {
  return createHmac('sha256', key).update(data).digest();
}
