/**
 * The gate: tries the client's own credential, or none, against upstream's `info/refs`, and keeps what came of it for a
 * short while.
 *
 * What is kept, per (repository, HMAC of the credential): the last decision, with the number of the request that made
 * it, so that an answer that comes late never replaces one that was asked for later. A `yes` to nobody in particular
 * (no credential) makes the repository public for everyone while it is fresh. What a `yes` says about the upstream stays
 * with it: one reader's facts never decide how another one is served.
 *
 * Equal checks at the same time share one request: whoever comes while one runs that was sent too early for him waits
 * for the next one, together with all others who do.
 *
 * Memory: at most `maxEntries` decisions of a few hundred bytes (a `no` has up to 64 KiB of upstream's words).
 */
import { hasCapability, type Capabilities } from '../protocol/capabilities/capability.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { BoundedMap } from '../upstream/bounded-map.ts';
import type { Denied, Failure, GitProtocol, ProbeOk, Upstream } from '../upstream/contract.ts';
import { credentialKey, type Credential } from '../upstream/credential.ts';
import type { Repository } from '../upstream/repository.ts';
import type { Access, AccessDecision } from './contract.ts';
import type { Granted, UpstreamFacts } from '../upstream/granted.ts';
import { createSharedChecks } from './shared-checks.ts';

export interface AccessDeps {
  readonly upstream: Pick<Upstream, 'probe'>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Random bytes of this process: what is kept is useless to another one. */
  readonly secret: Uint8Array;
  readonly metrics: Pick<Metrics, 'access'>;
  readonly logger: Logger;
  /** Told when a repository that was known as one turned out to be the other. */
  readonly onVisibility?: (repository: Repository, visibility: 'public' | 'private') => void;
}

export interface AccessOptions {
  /** How long a yes is good for. Default 60,000; 0: ask every time. */
  readonly ttlMs?: number;
  /** How long a no is repeated. Default 5,000; 0: ask every time. */
  readonly denyTtlMs?: number;
  /** How old the last yes may be where upstream gives no answer. Default 3,600,000; 0: no yes then. */
  readonly staleIfErrorMs?: number;
  /** Default 10,000. */
  readonly maxEntries?: number;
  /** False where one request must not wait for what another one started (Workers). Default true. */
  readonly shareChecks?: boolean;
}

interface Yes {
  readonly kind: 'yes';
  readonly sequence: number;
  readonly sentAtMs: number;
  readonly facts: UpstreamFacts;
}

interface No {
  readonly kind: 'no';
  readonly sequence: number;
  readonly sentAtMs: number;
  readonly denied: Denied;
}

interface Asked {
  readonly repository: Repository;
  readonly credential: Credential | undefined;
  readonly key: string;
  readonly gitProtocol: GitProtocol;
}

export function createAccess(deps: AccessDeps, options: AccessOptions = {}): Access {
  const { upstream, now, secret, metrics, logger, onVisibility } = deps;
  const { ttlMs = 60_000, staleIfErrorMs = 3_600_000, maxEntries = 10_000 } = options;
  // Where a yes is asked for every time, an old no would be all that is ever kept.
  const denyTtlMs = Math.min(options.denyTtlMs ?? 5_000, ttlMs);
  const decisions = new BoundedMap<string, Yes | No>(maxEntries);
  const visibilities = new BoundedMap<string, 'public' | 'private'>(maxEntries);
  const shared = createSharedChecks<AccessDecision>({ now, share: options.shareChecks ?? true });

  const keyOf = (repository: Repository, credential: Credential | undefined): string =>
    `${credentialKey(credential, secret)} ${repository.name}`;

  function remember(key: string, decision: Yes | No): void {
    const last = decisions.get(key);
    if (last === undefined || last.sequence < decision.sequence) decisions.set(key, decision);
  }

  /** The client's own yes, or the one that makes the repository public, if it is younger than `limitMs`. */
  function yesWithin(asked: Asked, limitMs: number): { readonly yes: Yes; readonly isPublic: boolean } | undefined {
    const young = (decision: Yes | No | undefined): decision is Yes =>
      decision?.kind === 'yes' && now() - decision.sentAtMs < limitMs;
    const publicYes = decisions.get(keyOf(asked.repository, undefined));
    if (young(publicYes) && visibilities.get(asked.repository.name) === 'public')
      return { yes: publicYes, isPublic: true };
    const own = decisions.get(asked.key);
    return young(own) ? { yes: own, isPublic: false } : undefined;
  }

  function granted(yes: Yes, isPublic: boolean, stale: boolean): Granted {
    const visibility = isPublic ? 'public' : 'private';
    return { kind: 'granted', facts: yes.facts, visibility, confirmedAtMs: yes.sentAtMs, stale };
  }

  function fromMemory(asked: Asked): AccessDecision | undefined {
    const found = yesWithin(asked, ttlMs);
    if (found !== undefined) {
      const { facts } = found.yes;
      const complete = asked.gitProtocol === 2 || facts.proxyOnly || facts.v0Capabilities !== undefined;
      return complete ? granted(found.yes, found.isPublic, false) : undefined;
    }
    const own = decisions.get(asked.key);
    return own?.kind === 'no' && now() - own.sentAtMs < denyTtlMs ? own.denied : undefined;
  }

  function setVisibility(repository: Repository, visibility: 'public' | 'private'): void {
    const before = visibilities.get(repository.name);
    visibilities.set(repository.name, visibility);
    if (before !== undefined && before !== visibility) onVisibility?.(repository, visibility);
  }

  /** The v2 capabilities that go with a v0 answer: those known from the last yes of this credential, else asked for now. */
  async function v2Behind(
    asked: Asked,
    signal: AbortSignal,
  ): Promise<{ readonly kind: 'known'; readonly capabilities: Capabilities } | Failure> {
    const last = decisions.get(asked.key);
    if (last?.kind === 'yes' && last.facts.v2Capabilities.length > 0) {
      return { kind: 'known', capabilities: last.facts.v2Capabilities };
    }
    const { repository, credential } = asked;
    const answer = await upstream.probe(repository, { credential, signal, gitProtocol: 2 });
    if (answer.kind !== 'ok') return answer;
    return { kind: 'known', capabilities: answer.transport.kind === 'v2' ? answer.transport.capabilities : [] };
  }

  async function ask(asked: Asked, sequence: number, signal: AbortSignal): Promise<AccessDecision> {
    const { repository, credential, key } = asked;
    const sentAtMs = now();
    const answer = await upstream.probe(repository, { credential, signal, gitProtocol: asked.gitProtocol });
    if (answer.kind !== 'ok') return failed(asked, answer, sequence, sentAtMs);

    let v2Capabilities: Capabilities = [];
    if (answer.transport.kind === 'v2') {
      v2Capabilities = answer.transport.capabilities;
    } else if (answer.transport.kind === 'v0' && asked.gitProtocol < 2 && answer.objectFormat === 'sha1') {
      const behind = await v2Behind(asked, signal);
      if (behind.kind !== 'known') return failed(asked, behind, sequence, sentAtMs);
      v2Capabilities = behind.capabilities;
    }
    const facts = factsOf(answer, v2Capabilities, decisions.get(key));
    const yes: Yes = { kind: 'yes', sequence, sentAtMs, facts };
    remember(key, yes);
    // A page that is no git answer (a login form, say) shows nothing to everyone.
    const isPublic = credential === undefined && answer.transport.kind !== 'dumb';
    if (isPublic && decisions.get(key) === yes) setVisibility(repository, 'public');
    const grant = granted(yes, isPublic, false);
    const refs = answer.transport.kind === 'v0' ? answer.transport.refs : undefined;
    return refs === undefined ? grant : { ...grant, advertised: { refs, sentAtMs } };
  }

  function failed(asked: Asked, failure: Failure, sequence: number, sentAtMs: number): AccessDecision {
    const { repository, credential, key } = asked;
    switch (failure.kind) {
      case 'denied': {
        const no: No = { kind: 'no', sequence, sentAtMs, denied: failure };
        remember(key, no);
        if (credential === undefined && decisions.get(key) === no) setVisibility(repository, 'private');
        logger.debug('access_denied', { repo: repository.name, status: failure.answer.status });
        return failure;
      }
      case 'redirect':
        // Where it leads is checked when the client asks there; here nothing is to be read any more.
        if ((decisions.get(key)?.sequence ?? -1) < sequence) decisions.delete(key);
        return failure;
      case 'throttled':
      case 'unavailable': {
        const found = yesWithin(asked, staleIfErrorMs);
        // A v0 client may get facts without v0 capabilities then: what v2 says is enough to build on.
        if (found !== undefined) return granted(found.yes, found.isPublic, true);
        const message = failure.kind === 'throttled' ? 'upstream wants to be left alone for a while' : failure.message;
        const { retryAtMs, answer } = failure;
        return { kind: 'unavailable', message, retryAtMs, ...(answer === undefined ? {} : { answer }) };
      }
    }
  }

  /** Whether a decision that was asked for before the client arrived is good for him too. */
  function acceptable(decision: AccessDecision, sentAtMs: number): boolean {
    const ageMs = now() - sentAtMs;
    if (decision.kind === 'granted') return decision.stale || ageMs < ttlMs;
    return decision.kind === 'denied' ? ageMs < denyTtlMs : ttlMs > 0;
  }

  return {
    async check(repository, credential, { gitProtocol, arrivedAtMs = now(), signal }) {
      const key = keyOf(repository, credential);
      const asked: Asked = { repository, credential, key, gitProtocol };
      const decision =
        fromMemory(asked) ??
        (await shared.run({
          key: `${gitProtocol} ${key}`,
          arrivedAtMs,
          signal,
          mayStartBefore: ttlMs > 0,
          acceptable,
          start: (sequence, checkSignal) => ask(asked, sequence, checkSignal),
        }));
      const counted = decision.kind === 'granted' && decision.stale ? 'stale' : decision.kind;
      if (counted !== 'redirect') metrics.access.add({ decision: counted });
      return decision;
    },
  };
}

function factsOf(answer: ProbeOk, v2Capabilities: Capabilities, last: Yes | No | undefined): UpstreamFacts {
  const { transport, objectFormat } = answer;
  const speaksV2 = hasCapability(v2Capabilities, 'ls-refs') && hasCapability(v2Capabilities, 'fetch');
  const lastV0 = last?.kind === 'yes' && transport.kind === 'v2' ? last.facts.v0Capabilities : undefined;
  const v0Capabilities = transport.kind === 'v0' ? transport.capabilities : lastV0;
  // What hotpack writes for v0 and v1 has no place for a boundary of the repository's own.
  const isShallow = transport.kind === 'v0' && transport.isShallow === true;
  return {
    proxyOnly: !speaksV2 || objectFormat !== 'sha1' || isShallow,
    objectFormat,
    v2Capabilities,
    ...(v0Capabilities === undefined ? {} : { v0Capabilities }),
  };
}
