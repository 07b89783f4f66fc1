/**
 * The first fill: one pack with all that branches and tags reach, either asked for by ourselves or read along with a client
 * whose clone is at least that; what more he asked for comes to lie in a pack behind it. Readers see nothing of a pack until
 * it is published whole.
 */
import { HotpackError } from '../../bytes/error.ts';
import type { Oid } from '../../bytes/oid.ts';
import type { RefsSnapshot } from '../../protocol/refs-snapshot.ts';
import { whileWorking } from '../../bytes/abort.ts';
import { fetchPack, ownFetch } from '../../upstream/fetch-pack.ts';
import { failureOf } from '../../upstream/failure.ts';
import type { Publication } from '../catalog/edits.ts';
import type { PackRecord, Stray } from '../catalog/manifest.ts';
import { findStaged, forgetStaged, indexStaged, removeStaged, stagePack } from '../edge/staged-pack.ts';
import { splitPack } from '../ingest/split-pack.ts';
import { takeIn } from '../ingest/take-in.ts';
import type { FillRoom } from '../maintenance/space/fill-rooms.ts';
import { heldOf } from '../refs/held-refs.ts';
import { branchTips } from '../refs/tips.ts';
import type { Asker, MirrorContext } from '../services.ts';
import { giveUpMirror, withinLimit, type SizeGuard, type TooMuch } from './size-limit.ts';

/** Somebody's clone of everything, to be read along. `leave` is to be called where it is not read. */
export interface CloneStream {
  /** What it was asked for: at least every tip of branches and tags. */
  readonly wants: readonly Oid[];
  readonly chunks: (signal: AbortSignal) => AsyncIterable<Uint8Array>;
  readonly leave: () => void;
  /** Called before `leave` where the stream was no good pack. */
  readonly reject: () => void;
}

export interface FillRequest {
  readonly refs: RefsSnapshot;
  readonly asker: Asker;
  /** Absent: upstream is asked for the pack. */
  readonly stream?: CloneStream;
  /** Where no hotter mirror is to go for it. */
  readonly room?: FillRoom | undefined;
  /** Told of the bytes of the pack as they come. */
  readonly onBytes?: (bytes: number) => void;
}

/**
 * `empty`: upstream has no objects. `staged`: the bytes are here, and the next fill goes on from them. `TooMuch`: it was given up,
 * and nothing of it is left.
 */
export type FillOutcome = 'filled' | 'empty' | 'staged' | TooMuch;

/** Rejects with what went wrong; then nothing is left behind, but for what was staged. */
export async function runFill(context: MirrorContext, request: FillRequest, signal: AbortSignal): Promise<FillOutcome> {
  const guard = context.limit.guard([], request.room);
  const fill = context.services.staging === undefined || bringsMore(request) ? fillAtOnce : fillByStages;
  const outcome = await withinLimit(guard, fill(context, { ...request, guard }, signal));
  if (outcome === 'too_large') await giveUpMirror(context);
  return outcome;
}

interface GuardedFill extends FillRequest {
  readonly guard: SizeGuard;
}

/** What is staged holds branches and tags alone. */
function bringsMore({ refs, stream }: FillRequest): boolean {
  if (stream === undefined) return false;
  const shown = new Set(branchTips(refs));
  return stream.wants.some((oid) => !shown.has(oid));
}

async function fillAtOnce(
  context: MirrorContext,
  request: GuardedFill,
  signal: AbortSignal,
): Promise<'filled' | 'empty'> {
  const { services } = context;
  const tips = branchTips(request.refs);
  if (tips.length === 0) return 'empty';
  const shown = new Set(tips);
  const otherTips = (request.stream?.wants ?? []).filter((oid) => !shown.has(oid));
  const confirmedAtMs = services.now();
  const pack = await whileWorking(signal, async (own) => {
    const chunks = request.guard.watch(await packChunks(context, request, tips, own), request.onBytes);
    return takeIn(context, { chunks, existing: [], tips, class: 'branches' }, own);
  });
  if (pack === undefined) return 'empty';
  const { branches, others } = await splitPack(context, { pack, branchTips: tips, otherTips }, signal);
  const strays = otherTips.map((oid) => ({ oid, confirmedAtMs }));
  return publishFirst(context, { pack: branches, others, refs: request.refs, strays, request }, signal);
}

async function fillByStages(context: MirrorContext, request: GuardedFill, signal: AbortSignal): Promise<FillOutcome> {
  const { endsAfterBytes = 0 } = context.services.staging ?? {};
  let staged = await findStaged(context, signal);
  // Others may have come since its bytes did.
  const broken = staged && request.guard.take(staged.packBytes);
  if (staged !== undefined && broken !== undefined) {
    await removeStaged(context, staged);
    return broken;
  }
  if (staged === undefined) {
    const tips = branchTips(request.refs);
    if (tips.length === 0) return 'empty';
    const fresh = await whileWorking(signal, async (own) => {
      const chunks = request.guard.watch(await packChunks(context, request, tips, own), request.onBytes);
      return stagePack(context, { refs: request.refs, chunks }, own);
    });
    if (fresh.packBytes > endsAfterBytes) return 'staged';
    staged = fresh;
  }
  const pack = await indexStaged(context, staged, signal);
  if (pack === undefined) return 'empty';
  const outcome = await publishFirst(context, { pack, refs: staged.refs, strays: [], request }, signal);
  await forgetStaged(context);
  return outcome;
}

async function publishFirst(
  { copy }: MirrorContext,
  first: {
    readonly pack: PackRecord;
    readonly others?: PackRecord | undefined;
    readonly refs: RefsSnapshot;
    readonly strays: readonly Stray[];
    readonly request: FillRequest;
  },
  signal: AbortSignal,
): Promise<'filled'> {
  const { pack, others, refs, strays, request } = first;
  const publication: Publication = {
    pack,
    builtOn: [],
    isFirst: true,
    strays: (current) => (others === undefined ? [...current, ...strays] : current),
    visibility: request.asker.visibility,
  };
  const outcome = await copy.publish(publication, signal);
  // Somebody else has filled it meanwhile: theirs is as good. A pack of others is an orphan then.
  if (outcome === 'stale') return 'filled';
  if (others !== undefined) {
    const behind = { ...publication, pack: others, builtOn: [pack.name], isFirst: false };
    await copy.publish({ ...behind, strays: (current) => [...current, ...strays] }, signal);
  }
  const snapshot = await copy.snapshot(signal);
  if (snapshot === undefined) throw new HotpackError('storage_unavailable', 'the mirror is gone right after its fill');
  try {
    await copy.writeHeld(heldOf(refs, (oid) => snapshot.store.find(oid) >= 0));
  } finally {
    snapshot.release();
  }
  return 'filled';
}

async function packChunks(
  context: MirrorContext,
  request: FillRequest,
  tips: readonly Oid[],
  signal: AbortSignal,
): Promise<AsyncIterable<Uint8Array>> {
  if (request.stream !== undefined) return request.stream.chunks(signal);
  const { credential, capabilities } = request.asker;
  const { upstream } = context.services;
  const answer = await fetchPack(upstream, context.repository, ownFetch(tips, []), {
    credential,
    capabilities,
    signal,
    purpose: 'fill',
  });
  if (answer.kind !== 'pack') throw failureOf(answer);
  return answer.chunks;
}
