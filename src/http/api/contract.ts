/** What the routes of `/api` work with, and what they answer. */
import type { H3Event } from 'h3';
import type { RepositoryStates } from '../../mirror/repository-states.ts';
import type { Popularity } from '../../popularity/contract.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { UpstreamConfig } from '../../upstream/repository.ts';
import type { Warm } from '../../warm/contract.ts';

export interface ApiDeps {
  readonly popularity: Popularity;
  readonly warm: Warm;
  readonly states: RepositoryStates;
  readonly upstreams: ReadonlyMap<string, UpstreamConfig>;
  readonly logger: Logger;
  /** Fires when the process will not wait for its requests any longer. */
  readonly signal?: AbortSignal;
  /** Absent: `/api` is for the same machine alone. */
  readonly adminToken: string | undefined;
  /** Who sent the request, by the connection and not by what the request says; undefined where that is not known. */
  readonly peerOf: (event: H3Event) => string | undefined;
  /** Where the runtime ends with its requests: keeps it alive for work that outlives this one's answer. */
  readonly keepAlive?: ((event: H3Event, work: Promise<unknown>) => void) | undefined;
}

/** What a route answers: JSON, or an error that names what was wrong. */
export type ApiAnswer =
  | { readonly kind: 'json'; readonly value: unknown }
  | { readonly kind: 'error'; readonly status: number; readonly code: string; readonly message: string };

/** As JSON gives a time: ISO 8601, or null. */
export function dateOf(ms: number | undefined): string | null {
  return ms === undefined || !Number.isFinite(ms) ? null : new Date(ms).toISOString();
}
