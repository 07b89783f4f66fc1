/** What of an upstream's answer a client may see: fields by allow-list, several challenges apart. */
import type { UpstreamAnswer } from '../contract.ts';
import { iterateStream } from '../../bytes/streams.ts';
import { splitChallenges } from './challenge.ts';

const MAX_ANSWER_BYTES = 65_536;

/**
 * Never `connection` and what else is for one hop, `content-encoding` and `transfer-encoding` (the body has been
 * decoded by then), `alt-svc` or `strict-transport-security` (they speak for upstream's host, not for ours).
 */
const RELAYED = new Set([
  'accept-ranges',
  'allow',
  'cache-control',
  'content-disposition',
  'content-language',
  'content-range',
  'content-type',
  'date',
  'deprecation',
  'docker-distribution-api-version',
  'etag',
  'expires',
  'last-modified',
  'lfs-authenticate',
  'link',
  'pragma',
  'retry-after',
  'set-cookie',
  'sunset',
  'vary',
  'www-authenticate',
]);

/** Fields of a host's own that help its users: rate limits, request ids, warnings. */
const RELAYED_OWN =
  /^(?:x-ratelimit-|ratelimit-?|x-github-|x-gitlab-|x-request-id$|x-lfs-|x-git|x-runtime$|x-oauth-|x-accepted-)/;

/** Fields to relay, in lower case; several challenges and cookies stay several. */
export function relayedFields(headers: Headers): Array<readonly [string, string]> {
  const fields: Array<readonly [string, string]> = [];
  for (const [name, value] of headers) {
    if (name === 'www-authenticate') {
      for (const challenge of splitChallenges(value)) fields.push([name, challenge]);
    } else if (name !== 'set-cookie' && (RELAYED.has(name) || RELAYED_OWN.test(name))) {
      fields.push([name, value]);
    }
  }
  for (const cookie of headers.getSetCookie()) fields.push(['set-cookie', cookie]);
  return fields;
}

/** The answer with at most 64 KiB of its body; the rest is given up. Never rejects: a body that breaks is cut where it broke. */
export async function readAnswer(response: Response, body: ReadableStream<Uint8Array> | null): Promise<UpstreamAnswer> {
  return {
    status: response.status,
    headers: relayedFields(response.headers),
    body: body === null ? new Uint8Array(0) : await readAtMost(body, MAX_ANSWER_BYTES),
  };
}

async function readAtMost(body: ReadableStream<Uint8Array>, maxBytes: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(maxBytes);
  let length = 0;
  try {
    for await (const chunk of iterateStream(body)) {
      const part = chunk.subarray(0, maxBytes - length);
      bytes.set(part, length);
      length += part.length;
      if (length === maxBytes) break;
    }
  } catch {
    // A refusal is a refusal, however its text ended.
  }
  return bytes.slice(0, length);
}
