/** What answering works with. */
import type { SharedAnswers } from '../answers/shared-answers.ts';
import type { Mirror } from '../mirror/mirror.ts';
import type { MirrorSource } from '../mirror/mirrors.ts';
import type { Asker } from '../mirror/services.ts';
import type { PopularityCounters } from '../popularity/contract.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Upstream } from '../upstream/contract.ts';
import type { ServeContext } from './contract.ts';

export interface ServeServices {
  readonly mirrors: Pick<MirrorSource, 'of'>;
  /** Absent where no request may follow what another one began (Workers). */
  readonly answers: SharedAnswers | undefined;
  readonly upstream: Upstream;
  readonly popularity: PopularityCounters;
  readonly now: () => number;
  readonly logger: Logger;
  /** How long refs outlive an upstream that gives no answer; 0: not at all. */
  readonly staleIfErrorMs: number;
  /** `hotpack/<version>`. */
  readonly agent: string;
}

/** One request on its way through the room. */
export interface Serving extends ServeServices {
  readonly context: ServeContext;
  readonly mirror: Mirror;
  readonly asker: Asker;
}

export type AnswerSource = 'mirror' | 'pack-cache' | 'upstream';

export function uploadPackResponse(body: BodyInit | null, source: AnswerSource): Response {
  return new Response(body, {
    headers: { 'content-type': 'application/x-git-upload-pack-result', 'x-hotpack-source': source },
  });
}
