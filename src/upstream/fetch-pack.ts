/**
 * A fetch whose answer is a pack: the sections before it as values, its bytes as a stream without framing. Nothing is
 * held but the chunk under way.
 */
import { HotpackError } from '../bytes/error.ts';
import type { Oid } from '../bytes/oid.ts';
import { iterateStream } from '../bytes/streams.ts';
import type { Capabilities } from '../protocol/capabilities/capability.ts';
import { createFetchRequest } from '../protocol/fetch/create-fetch-request.ts';
import { V2AnswerParser, type V2AnswerEvent } from '../protocol/fetch/v2-answer-parser.ts';
import type { ShallowInfo, WantedRef } from '../protocol/fetch/v2-answer.ts';
import { writeFetch } from '../protocol/fetch/write-fetch.ts';
import type { FetchRequest } from '../protocol/fetch-request.ts';
import type { Asking, Failure, Refused, Upstream } from './contract.ts';
import type { Repository } from './repository.ts';

export interface PackHeader {
  /** `undefined` where upstream sent no such section. */
  readonly shallowInfo: ShallowInfo | undefined;
  readonly wantedRefs: readonly WantedRef[];
}

export interface PackAnswer {
  readonly kind: 'pack';
  readonly header: PackHeader;
  /** To be iterated once, to its end or left early: that ends the request. Errors: `upstream_refused` (band 3), `upstream_unavailable` (cut). */
  readonly chunks: AsyncIterable<Uint8Array>;
  /** Upstream's progress (band 2), from when `chunks` is iterated. One listener. */
  onProgress(listener: (text: Uint8Array) => void): void;
}

export interface FetchPackAsking extends Asking {
  readonly capabilities: Capabilities;
  readonly purpose: 'update' | 'fill' | 'pass_through';
}

/** hotpack's own words for who it is toward a server. */
export const AGENT = 'git/hotpack';

/** `request` must be `done`: an answer without a pack is `unavailable`, malformed. */
export async function fetchPack(
  upstream: Upstream,
  repository: Repository,
  request: FetchRequest,
  asking: FetchPackAsking,
): Promise<PackAnswer | Refused | Failure> {
  const body = writeFetch(request, { capabilities: asking.capabilities, agent: AGENT });
  const answer = await upstream.fetch(repository, body, asking);
  if (answer.kind !== 'ok') return answer;

  const chunks = iterateStream(answer.body, asking.signal);
  const parser = new V2AnswerParser();
  let shallowInfo: ShallowInfo | undefined;
  let wantedRefs: readonly WantedRef[] = [];
  try {
    while (true) {
      const event = await nextEvent(parser, chunks);
      switch (event.kind) {
        case 'error':
          await chunks.return();
          return { kind: 'refused', message: event.message };
        case 'shallow-info':
          shallowInfo = { shallow: event.shallow, unshallow: event.unshallow };
          break;
        case 'wanted-refs':
          wantedRefs = event.refs;
          break;
        case 'packfile': {
          let listener: ((text: Uint8Array) => void) | undefined;
          return {
            kind: 'pack',
            header: { shallowInfo, wantedRefs },
            chunks: packBytes(parser, chunks, (text) => listener?.(text)),
            onProgress: (given) => {
              listener = given;
            },
          };
        }
        case 'end':
          throw new HotpackError('upstream_unavailable', 'upstream answered a fetch without a pack');
        default:
          break;
      }
    }
  } catch (error) {
    await chunks.return();
    throw error;
  }
}

async function* packBytes(
  parser: V2AnswerParser,
  chunks: AsyncGenerator<Uint8Array, void, void>,
  onProgress: (text: Uint8Array) => void,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    while (true) {
      const event = await nextEvent(parser, chunks);
      switch (event.kind) {
        case 'pack':
          yield event.bytes;
          break;
        case 'progress':
          onProgress(event.bytes);
          break;
        case 'error':
          throw new HotpackError('upstream_refused', event.message, { detail: { message: event.message } });
        case 'end':
          return;
        default:
          throw new HotpackError('upstream_unavailable', `unexpected ${event.kind} in a pack`);
      }
    }
  } finally {
    await chunks.return();
  }
}

/** The next event, with as many chunks as it takes. Rejects with `upstream_unavailable` where the answer ends before it. */
async function nextEvent(
  parser: V2AnswerParser,
  chunks: AsyncGenerator<Uint8Array, void, void>,
): Promise<Exclude<V2AnswerEvent, { readonly kind: 'need-more' }>> {
  while (true) {
    const event = parser.next();
    if (event.kind !== 'need-more') return event;
    const { done, value } = await chunks.next();
    if (done === true) throw cut(parser);
    parser.push(value);
  }
}

function cut(parser: V2AnswerParser): HotpackError {
  const how = parser.finish();
  return new HotpackError('upstream_unavailable', `upstream's answer was ${how === 'empty' ? 'empty' : 'cut'}`);
}

/** A fetch of hotpack's own: whole objects, and thin deltas against `haves`. */
export function ownFetch(wants: readonly Oid[], haves: readonly Oid[]): FetchRequest {
  return createFetchRequest({ wants, haves, thinPack: haves.length > 0 });
}
