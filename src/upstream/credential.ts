/**
 * What tells one reader from another toward an upstream: the `Authorization` of a request, its cookies, and
 * header fields of the client's own (`http.extraHeader`). Kept where neither a log line, nor JSON, nor
 * an inspection can print it; only this room and the proxy write it into a request.
 */
import { createHmac } from 'node:crypto';

const REDACTED = '[credential]';
type Fields = ReadonlyArray<readonly [string, string]>;
const fieldsOf = new WeakMap<Credential, Fields>();

export class Credential {
  constructor(fields: Fields) {
    const sorted = fields.map(([name, value]) => [name.toLowerCase(), value] as const).toSorted(byName);
    fieldsOf.set(this, sorted);
  }

  toString(): string {
    return REDACTED;
  }

  toJSON(): string {
    return REDACTED;
  }
}

/** The header fields to send, in lower case. The result must not be kept or printed. */
export function credentialFields(credential: Credential | undefined): Fields {
  return credential === undefined ? [] : (fieldsOf.get(credential) as Fields);
}

/** A key for caches in memory: two credentials are equal where their keys are. Useless without `secret`. */
export function credentialKey(credential: Credential | undefined, secret: Uint8Array): string {
  if (credential === undefined) return 'anonymous';
  return createHmac('sha256', secret)
    .update(JSON.stringify(credentialFields(credential)))
    .digest('base64');
}

/** `token` or `user:token` of the settings, as Basic, which every host takes for Git over HTTP. */
export function credentialOfToken(setting: string): Credential {
  const pair = setting.includes(':') ? setting : `x-access-token:${setting}`;
  const bytes = new TextEncoder().encode(pair);
  return new Credential([['authorization', `Basic ${btoa(String.fromCharCode(...bytes))}`]]);
}

/** The credential that a request came with, or undefined where it came with none. */
export function credentialOfRequest(headers: Iterable<readonly [string, string]>): Credential | undefined {
  const fields: Array<readonly [string, string]> = [];
  for (const [name, value] of headers) {
    if (name === 'authorization' || name === 'cookie' || isOwnField(name)) fields.push([name, value]);
  }
  return fields.length === 0 ? undefined : new Credential(fields);
}

/**
 * Fields that load balancers and tracers put on every request. They tell nobody who asks, differ from request
 * to request, and would leave no two requests with an equal credential.
 */
const OF_THE_WAY =
  /^x-(?:forwarded|real-ip|client|cluster|original|request|correlation|trace|b3|amz|amzn|envoy|cloud|datadog|appengine|azure|arr|scheme|hotpack|vercel|nf|github-request|varnish|cache|via)(?:-|$)/;

/** True for `x-…` fields that a person added to his requests: some hosts decide access by such a field. */
export function isOwnField(name: string): boolean {
  return name.startsWith('x-') && !OF_THE_WAY.test(name);
}

function byName(left: readonly [string, string], right: readonly [string, string]): number {
  return left[0] < right[0] ? -1 : left[0] > right[0] ? 1 : 0;
}
