/** The answer to one who follows a pack in the making. */
import type { Follower } from '../../answers/shared-answer.ts';
import type { FetchRequest } from '../../protocol/fetch-request.ts';
import { type AnswerSource, type Serving, uploadPackResponse } from '../services.ts';
import { streamAnswer } from './answer-stream.ts';
import { staleNote } from './stale-note.ts';

export interface Followed {
  readonly follower: Pick<Follower, 'packets' | 'onProgress' | 'leave'>;
  /** Everything in front of the pack. */
  readonly head: Uint8Array;
  /** One line that says where the answer comes from. */
  readonly note: string;
  readonly source: AnswerSource;
}

export function followedResponse(serving: Serving, request: FetchRequest, followed: Followed): Response {
  const { context, logger } = serving;
  const { signal, repository } = context;
  const { follower, head, note, source } = followed;
  const body = streamAnswer(
    request,
    {
      head,
      packets: follower.packets(signal),
      note: `${note}${staleNote(context)}`,
      onProgress: follower.onProgress,
      onEnd: (error) => {
        follower.leave();
        if (error === undefined || signal.aborted) return;
        logger.error('request_failed', { repo: repository.name, error });
      },
    },
    signal,
  );
  return uploadPackResponse(body, source);
}
