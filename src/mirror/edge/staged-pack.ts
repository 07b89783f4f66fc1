/**
 * The pack of a first fill, taken in by stages, for runtimes that may end an event at any moment:
 *
 * 1. Its bytes go to their place in the store as they come; nothing is read back meanwhile.
 * 2. Once they are there and end in their checksum, a note (`hotpack/incoming`) says so, and which refs were asked for.
 * 3. The pack is indexed out of the store, by one reading from its first byte to its last and ranges for deltas.
 *
 * Whoever comes after an event that was killed behind 2 goes on there, and upstream is not asked again. Before it, the bytes are
 * nobody's: an object in the making, or a pack that no manifest names. A note that is old, or whose pack is gone, counts for nothing.
 */
import { HotpackError, isHotpackError } from '../../bytes/error.ts';
import { bytesToHex } from '../../bytes/oid.ts';
import { TrailerCheck } from '../../pack/codec/trailer-check.ts';
import type { RefsSnapshot } from '../../protocol/refs-snapshot.ts';
import type { PackRecord } from '../catalog/manifest.ts';
import { noChunks, recordOf, runPackWork } from '../ingest/pack-work.ts';
import { packKeys } from '../keys.ts';
import { removePacks } from '../copy/packs.ts';
import { parseAdvertised, writeAdvertised } from '../refs/advertised.ts';
import { branchTips } from '../refs/tips.ts';
import type { MirrorContext } from '../services.ts';
import type { IndexParams } from '../tasks.ts';

/** Well below the day after which packs that nobody names are removed. */
const NOTE_KEPT_MS = 6 * 60 * 60 * 1000;
const MAX_NOTE_BYTES = 64 * 1024 * 1024;
const NAME_BYTES = 20;

export interface StagedPack {
  readonly name: string;
  /** What was asked for: the pack holds all that branches and tags of these reach. */
  readonly refs: RefsSnapshot;
  readonly packBytes: number;
}

/** The pack that an earlier event left complete and not yet indexed. */
export async function findStaged(context: MirrorContext, signal: AbortSignal): Promise<StagedPack | undefined> {
  const { copy, services } = context;
  const found = await services.storage.readAll(copy.keys.incoming, MAX_NOTE_BYTES, signal);
  if (found.kind === 'absent' || found.bytes.length < NAME_BYTES) return undefined;
  const noted = parseAdvertised(found.bytes.subarray(NAME_BYTES));
  const name = nameOf(found.bytes.subarray(0, NAME_BYTES));
  const ageMs = services.now() - (noted?.sentAtMs ?? 0);
  if (noted === undefined || ageMs < 0 || ageMs > NOTE_KEPT_MS) return undefined;
  const pack = await services.storage.head(packKeys(copy.keys.packFolder, name).pack, signal);
  return pack.kind === 'absent' ? undefined : { name, refs: noted.refs, packBytes: pack.bytes };
}

/** Stages 1 and 2. Rejects with what went wrong; then nothing is left. */
export async function stagePack(
  context: MirrorContext,
  incoming: { readonly refs: RefsSnapshot; readonly chunks: AsyncIterable<Uint8Array> },
  signal: AbortSignal,
): Promise<StagedPack> {
  const { copy, services } = context;
  const id = crypto.getRandomValues(new Uint8Array(NAME_BYTES));
  const name = nameOf(id);
  const writer = await services.storage.openWriter(packKeys(copy.keys.packFolder, name).pack, signal);
  try {
    const trailer = new TrailerCheck();
    for await (const chunk of incoming.chunks) {
      trailer.update(chunk);
      await writer.write(chunk);
    }
    if (!trailer.matches()) throw new HotpackError('malformed_pack', "upstream's pack does not end in its checksum");
    await writer.commit();
  } catch (error) {
    await writer.abort();
    throw error;
  }
  const refs = writeAdvertised({ refs: incoming.refs, sentAtMs: services.now() });
  const note = new Uint8Array(NAME_BYTES + refs.length);
  note.set(id);
  note.set(refs, NAME_BYTES);
  await services.storage.put(copy.keys.incoming, note, signal);
  return { name, refs: incoming.refs, packBytes: writer.bytesWritten };
}

/** Stage 3. `undefined`: it holds no object. A pack that is no good is removed with its note; whatever else fails leaves both. */
export async function indexStaged(
  context: MirrorContext,
  staged: StagedPack,
  signal: AbortSignal,
): Promise<PackRecord | undefined> {
  const { copy, services } = context;
  const task: IndexParams = {
    kind: 'index',
    packFolder: copy.keys.packFolder,
    packName: staged.name,
    tips: branchTips(staged.refs),
    memoryBytes: services.ingestBytes,
  };
  try {
    const result = await runPackWork(services, task, noChunks(), signal);
    if (result.kind === 'written') return recordOf(result, { class: 'branches', pushes: 1 });
    await removeStaged(context, staged);
    return undefined;
  } catch (error) {
    if (isUseless(error)) await removeStaged(context, staged);
    throw error;
  }
}

/** Once the manifest names the pack. */
export async function forgetStaged({ copy, services }: MirrorContext): Promise<void> {
  await services.storage.delete([copy.keys.incoming]);
}

/** The next fill asks upstream anew. */
export async function removeStaged(context: MirrorContext, staged: StagedPack): Promise<void> {
  await forgetStaged(context);
  await removePacks(context.services.storage, context.copy.keys.packFolder, [staged.name]);
}

function nameOf(id: Uint8Array): string {
  return `pack-${bytesToHex(id)}`;
}

function isUseless(error: unknown): boolean {
  return (['malformed_pack', 'missing_object', 'limit_exceeded'] as const).some((code) => isHotpackError(error, code));
}
