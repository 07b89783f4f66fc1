/**
 * Writes a mirror's packs anew where much of them is needed by nobody: what HEAD, branches and tags reach comes to lie in one pack,
 * what other held refs and young confirmations reach in another one (`repack-at-rest.ts`); the rest goes with the old packs.
 *
 * Readers and publications go on meanwhile. A pack that came meanwhile stays if all it refers to is there still, which is looked
 * up before the swap; where it leans on what would go, or somebody else has merged packs, the work is dropped. What is
 * published later and was built on the old packs is refused, and whoever asked for it asks again.
 *
 * As a third of the bytes must be useless before anything is done, and what is useless was pushed once, no more than two bytes
 * are written for each that was pushed.
 */
import { madeBy, type Repack } from '../../catalog/edit-repack.ts';
import { bytesOf, ofBranches, type PackRecord, type Stray } from '../../catalog/manifest.ts';
import { newPackName, noChunks, recordOf, runPackWork } from '../../ingest/pack-work.ts';
import { removePacks } from '../../copy/packs.ts';
import { advertisedOids, branchTips } from '../../refs/tips.ts';
import { isYoung } from '../../fetching/servable.ts';
import type { MirrorContext } from '../../services.ts';
import type { MirrorSnapshot } from '../../copy/snapshot.ts';
import type { CheckParams, RepackParams, WrittenPack } from '../../tasks.ts';

const LEAST_SHARE = 1 / 3;
/** So often packs that came meanwhile are looked through before the work is dropped. */
const MOST_ROUNDS = 8;

/** `spared`: all is needed, or nearly. `lost`: somebody else has changed what this started from. `absent`: there is no mirror. */
export type RepackOutcome = 'repacked' | 'spared' | 'lost' | 'absent';

export async function repackMirror(context: MirrorContext, signal: AbortSignal): Promise<RepackOutcome> {
  const snapshot = await context.copy.snapshot(signal);
  if (snapshot === undefined) return 'absent';
  try {
    return await repackSnapshot(context, snapshot, signal);
  } finally {
    snapshot.release();
  }
}

async function repackSnapshot(
  context: MirrorContext,
  { manifest, held }: MirrorSnapshot,
  signal: AbortSignal,
): Promise<RepackOutcome> {
  const { copy, services } = context;
  const { packs } = manifest;
  const young = manifest.strays.filter((stray) => isYoung(stray, services.now()));
  const task: RepackParams = {
    kind: 'repack',
    packFolder: copy.keys.packFolder,
    sources: packs.map(({ name, tailOffset }) => ({ name, tailOffset })),
    closedPacks: ofBranches(packs).length,
    branchTips: branchTips(held),
    otherTips: [...advertisedOids(held), ...young.map((stray) => stray.oid)],
    leastShare: LEAST_SHARE,
    names: { branches: newPackName(), others: newPackName() },
    memoryBytes: services.ingestBytes,
  };
  const result = await runPackWork(services, task, noChunks(), signal);
  if (result.kind === 'spared') return 'spared';
  const merged = (written: WrittenPack, of: PackRecord['class']): PackRecord => {
    const sources = packs.filter((pack) => pack.class === of);
    const pushes = sources.reduce((sum, pack) => sum + pack.pushes, 0);
    return recordOf(written, { class: of, pushes: Math.max(1, pushes) });
  };
  const outcome = await putInPlace(
    context,
    {
      sources: packs.map((pack) => pack.name),
      branches: merged(result.branches, 'branches'),
      others: result.others && merged(result.others, 'others'),
      checked: [],
      strays: (current) => current.filter((stray) => !isLetGo(stray, manifest.strays, young)),
    },
    signal,
  );
  if (outcome === 'repacked') {
    const bytes = result.branches.packBytes + (result.others?.packBytes ?? 0);
    const before = bytesOf(packs);
    services.logger.debug('mirror_repacked', { repo: context.repository.name, packs: packs.length, bytes, before });
  }
  return outcome;
}

/** `lost`: the new packs are gone. Where the swap fails they stay, since it may have come through: at worst they are orphans. */
async function putInPlace(context: MirrorContext, made: Repack, signal: AbortSignal): Promise<'repacked' | 'lost'> {
  const { copy, services } = context;
  const later: PackRecord[] = [];
  for (let round = 0; round < MOST_ROUNDS; round++) {
    // oxlint-disable-next-line no-await-in-loop -- packs may come while others are looked through
    const outcome = await copy.repack({ ...made, checked: later.map((pack) => pack.name) });
    if (outcome === 'repacked' || outcome === 'lost') return outcome;
    later.push(...outcome);
    const task = checkOf(context, { made, later, checked: outcome });
    // oxlint-disable-next-line no-await-in-loop
    const check = await runPackWork(services, task, noChunks(), signal).catch(async (error: unknown) => {
      await removePacks(services.storage, copy.keys.packFolder, madeBy(made));
      throw error;
    });
    if (check.kind === 'open') break;
  }
  await removePacks(services.storage, copy.keys.packFolder, madeBy(made));
  return 'lost';
}

/** Whether all that the `checked` of the `later` packs refer to is there without what is left out. */
function checkOf(
  { copy, services }: MirrorContext,
  packs: {
    readonly made: Repack;
    readonly later: readonly PackRecord[];
    readonly checked: readonly PackRecord[];
  },
): CheckParams {
  const { made, later, checked } = packs;
  const closed = [made.branches, ...ofBranches(later)];
  const others = later.filter((pack) => pack.class === 'others');
  const all = [...closed, ...(made.others === undefined ? [] : [made.others]), ...others];
  return {
    kind: 'check',
    packFolder: copy.keys.packFolder,
    packs: all.map((pack) => pack.name),
    closedPacks: closed.length,
    checked: checked.map((pack) => pack.name),
    memoryBytes: services.ingestBytes,
  };
}

/** A stray that was there when the work began and for which nothing was kept. */
function isLetGo(stray: Stray, before: readonly Stray[], kept: readonly Stray[]): boolean {
  const isSame = (one: Stray): boolean => one.oid === stray.oid && one.confirmedAtMs === stray.confirmedAtMs;
  return before.some(isSame) && !kept.some(isSame);
}
