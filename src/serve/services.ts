/** What answering works with. */
import type { AnswerCache, AnswerCaches } from '../answers/contract.ts';
import type { Mirror } from '../mirror/mirror.ts';
import type { MirrorSource } from '../mirror/mirrors.ts';
import type { Asker } from '../mirror/services.ts';
import { NOT_TO_BE_KEPT } from '../protocol/not-to-be-kept.ts';
import type { PopularityCounters } from '../popularity/contract.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { BoundedMap } from '../upstream/bounded-map.ts';
import type { Upstream } from '../upstream/contract.ts';
import type { SizeBody } from './body/size-body.ts';
import type { ServeContext } from './contract.ts';

export interface ServeServices {
  readonly mirrors: Pick<MirrorSource, 'of'>;
  readonly answers: AnswerCaches;
  readonly upstream: Upstream;
  readonly popularity: PopularityCounters;
  readonly now: () => number;
  readonly logger: Logger;
  /** How long refs outlive an upstream that gives no answer; 0: not at all. */
  readonly staleIfErrorMs: number;
  /** `hotpack/<version>`. */
  readonly agent: string;
  /** See `SizeBody`. */
  readonly sizeBody?: SizeBody | undefined;
}

/** One request on its way through the room. */
export interface Serving extends Omit<ServeServices, 'answers'> {
  readonly answers: AnswerCache;
  /** Whether the haves of a question sufficed, by its key; objects by their names never change that. */
  readonly readiness: BoundedMap<string, boolean>;
  readonly context: ServeContext;
  readonly mirror: Mirror;
  readonly asker: Asker;
}

export type AnswerSource = 'mirror' | 'pack-cache' | 'upstream';

/** `bytes`: how long the body is, where that is known before. */
export function uploadPackResponse(body: BodyInit | null, source: AnswerSource, bytes?: number): Response {
  return new Response(body, {
    headers: {
      'content-type': 'application/x-git-upload-pack-result',
      'x-hotpack-source': source,
      ...NOT_TO_BE_KEPT,
      ...(bytes === undefined ? {} : { 'content-length': String(bytes) }),
    },
  });
}
