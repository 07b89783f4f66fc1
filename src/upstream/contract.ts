/**
 * What the rooms above may ask of an upstream. Everything an upstream can be expected to answer is a returned
 * union; a call rejects only with `aborted` (its signal fired) or `invalid_argument`. A time limit that ran out
 * is `unavailable` with reason `timeout`; within a body that is already streaming it errors the stream.
 */
import type { Capabilities } from '../protocol/capabilities/capability.ts';
import type { RefsSnapshot } from '../protocol/refs-snapshot.ts';
import type { Credential } from './credential.ts';
import type { Repository, UpstreamConfig } from './repository.ts';

/** A version of the Git protocol as `Git-Protocol` asks for it. */
export type GitProtocol = 0 | 1 | 2;

/** An answer as upstream gave it, to be relayed: status, the fields a client may see, at most 64 KiB of body. */
export interface UpstreamAnswer {
  readonly status: number;
  /** In lower case, in upstream's order; several challenges are several `www-authenticate`. */
  readonly headers: ReadonlyArray<readonly [string, string]>;
  readonly body: Uint8Array;
}

/** Upstream said no: 401, 403, 404 and every other 4xx but 408 and 429. */
export interface Denied {
  readonly kind: 'denied';
  readonly answer: UpstreamAnswer;
}

export interface Redirect {
  readonly kind: 'redirect';
  readonly status: number;
  /** Within hotpack (`/git/<upstream>/…`), or undefined where it leads out of the configured upstreams. */
  readonly location: string | undefined;
}

/** 429, or 401 on a data request of a repository that was readable: come later. `answer` is what to relay where nothing is here. */
export interface Throttled {
  readonly kind: 'throttled';
  readonly retryAtMs: number;
  readonly answer: UpstreamAnswer;
}

/** Upstream gave no answer: refused, reset, hanging, 5xx, 408, or something that is no git answer. */
export interface Unavailable {
  readonly kind: 'unavailable';
  readonly reason: 'network' | 'timeout' | 'status' | 'malformed';
  /** In words for a log line or a client; never a secret. */
  readonly message: string;
  readonly retryAtMs: number;
  /** Where upstream said something after all (5xx). */
  readonly answer?: UpstreamAnswer;
}

/** Upstream understood and would not, in its own words (an ERR packet). */
export interface Refused {
  readonly kind: 'refused';
  readonly message: string;
}

export type Failure = Denied | Redirect | Throttled | Unavailable;

/** What `info/refs?service=git-upload-pack` said. */
export interface ProbeOk {
  readonly kind: 'ok';
  readonly transport:
    | {
        readonly kind: 'v2';
        /** The lines after `version 2`. */
        readonly capabilities: Capabilities;
      }
    | {
        /** v0, or v1 where that was asked for. */
        readonly kind: 'v0';
        readonly capabilities: Capabilities;
        /** Absent where the list is longer than 32 MiB. */
        readonly refs?: RefsSnapshot;
        /** The repository is shallow itself: its histories end where no root commit is. */
        readonly isShallow?: boolean;
      }
    | { readonly kind: 'dumb' };
  readonly objectFormat: string;
}

export interface RefsOk {
  readonly kind: 'ok';
  readonly refs: RefsSnapshot;
}

export interface FetchOk {
  readonly kind: 'ok';
  /** The v2 answer as it comes, from its first byte; read it to its end or cancel it. Errors with a HotpackError. */
  readonly body: ReadableStream<Uint8Array>;
}

export interface Asking {
  /** The asking client's own, or undefined for none. */
  readonly credential: Credential | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface LsRefsQuery {
  /** `ref-prefix` lines; empty asks for all. */
  readonly prefixes: readonly string[];
  /** What this upstream advertised over v2 (`ProbeOk`), so that nothing is asked for that it does not speak. */
  readonly capabilities: Capabilities;
  readonly serverOptions?: readonly string[];
}

export interface ForwardRequest {
  readonly method: string;
  /** Follows the repository's URL: `/git-receive-pack`. */
  readonly rest: string;
  /** With its `?`, or empty. */
  readonly query: string;
  /** All of them, credentials included: the proxy's allow-list made them. */
  readonly headers: Headers;
  readonly body: ReadableStream<Uint8Array> | Uint8Array | null;
  readonly signal?: AbortSignal | undefined;
}

export interface ForwardAnswer {
  readonly status: number;
  /** As upstream sent them. `fetch` may have decoded the body: its length and encoding fields do not count. */
  readonly headers: Headers;
  readonly body: ReadableStream<Uint8Array> | null;
}

export interface Upstream {
  /** Asks with the client's credential alone, never with hotpack's token: the answer decides who may read. */
  probe(repository: Repository, asking: Asking & { readonly gitProtocol: GitProtocol }): Promise<ProbeOk | Failure>;
  /**
   * The same request with hotpack's own token, or with none: for background work. Says nothing about clients.
   */
  probeAsHotpack(repository: Repository, signal?: AbortSignal): Promise<ProbeOk | Failure>;
  /** `ls-refs` over v2. Asks with hotpack's token where there is one: only for clients that were granted. */
  lsRefs(repository: Repository, query: LsRefsQuery, asking: Asking): Promise<RefsOk | Refused | Failure>;
  /**
   * A v2 `fetch`: `body` is a whole request in pkt-lines. Credentials as `lsRefs`. `purpose` chooses the time limit
   * (a first fill has the longer one) for the whole operation, the body's end included.
   */
  fetch(
    repository: Repository,
    body: Uint8Array,
    asking: Asking & {
      readonly purpose: 'update' | 'fill' | 'pass_through';
      /** In which the body is written; default 2. */
      readonly gitProtocol?: GitProtocol;
    },
  ): Promise<FetchOk | Failure>;
  /** Byte for byte; redirects are handed back. Rejects with `upstream_unavailable` or `timeout` where no answer came. */
  forward(repository: Repository, request: ForwardRequest): Promise<ForwardAnswer>;
  /** Until when (ms since the epoch) this upstream wants to be left alone by that kind of asker; undefined: now is fine. */
  throttledUntilMs(upstream: UpstreamConfig, asker: 'anonymous' | 'token'): number | undefined;
}
