/**
 * Work on one mirror as a message: what a queue carries, or what is done behind an answer where there is none. It holds names and
 * hashes, never a credential: whoever does the work asks upstream on hotpack's own behalf (DESIGN 11).
 */
import { isOid, type Oid } from '../../bytes/oid.ts';
import { repositoryOfName, type Repository, type UpstreamConfig } from '../../upstream/repository.ts';

/** The mirror is to be brought up to what upstream shows; `wants` are to be had besides. */
export interface MirrorTask {
  readonly repository: Repository;
  readonly wants: readonly Oid[];
  /** What was done since then need not be done again. */
  readonly askedAtMs: number;
  /** `pass`: nobody in particular, so that a first fill keeps to the room that is there. */
  readonly askedBy: 'somebody' | 'pass';
}

/** A message of a queue has at most 128 KB, a name at most 1,000 bytes. */
const MAX_WANTS = 2_000;

/** Plain data of at most 100 KB. Wants beyond the first 2,000 are left out: they are asked for again when they are missed again. */
export function writeMirrorTask(task: MirrorTask): Readonly<Record<string, unknown>> {
  const { repository, wants, askedAtMs, askedBy } = task;
  return { format: 1, repo: repository.name, wants: wants.slice(0, MAX_WANTS), askedAtMs, askedBy };
}

/**
 * Undefined for what is no task, or of an upstream that is not configured any more. Messages of earlier versions do not say who
 * asked: somebody, then.
 */
export function parseMirrorTask(
  message: unknown,
  upstreams: ReadonlyMap<string, UpstreamConfig>,
): MirrorTask | undefined {
  if (typeof message !== 'object' || message === null) return undefined;
  const { format, repo, wants, askedAtMs, askedBy } = message as Record<string, unknown>;
  if (format !== 1 || typeof repo !== 'string' || typeof askedAtMs !== 'number' || !Array.isArray(wants))
    return undefined;
  if (wants.length > MAX_WANTS || !wants.every((oid) => typeof oid === 'string' && isOid(oid))) return undefined;
  try {
    const repository = repositoryOfName(repo, upstreams);
    return { repository, wants, askedAtMs, askedBy: askedBy === 'pass' ? 'pass' : 'somebody' };
  } catch {
    return undefined;
  }
}
