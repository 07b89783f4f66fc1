/**
 * What git sees of a mirror beside its packs: `packed-refs` and `HEAD`, which hold the refs whose closure is here, and the files that
 * make it a repository at all (gitrepository-layout).
 */
import type { RefsSnapshot } from '../../protocol/refs-snapshot.ts';
import type { Storage } from '../../storage/contract.ts';
import type { MirrorKeys } from '../keys.ts';
import { parseHead, parsePackedRefs, writeHead, writePackedRefs } from './held-refs.ts';

const MAX_REFS_BYTES = 512 * 1024 * 1024;
const CONFIG = '[core]\n\trepositoryformatversion = 0\n\tfilemode = false\n\tbare = true\n';

type Files = Pick<MirrorKeys, 'packedRefs' | 'head' | 'config' | 'refsFolder'>;

/** Refs that an interrupted change left behind may name what is not here. */
export async function readHeldFiles(storage: Storage, files: Files): Promise<RefsSnapshot> {
  const [packedRefs, head] = await Promise.all([
    storage.readAll(files.packedRefs, MAX_REFS_BYTES),
    storage.readAll(files.head, MAX_REFS_BYTES),
  ]);
  const refs = packedRefs.kind === 'absent' ? [] : parsePackedRefs(packedRefs.bytes);
  return { refs, head: head.kind === 'absent' ? { kind: 'absent' } : parseHead(head.bytes, refs) };
}

export async function writeHeldFiles(storage: Storage, files: Files, held: RefsSnapshot): Promise<void> {
  await storage.put(files.packedRefs, writePackedRefs(held.refs));
  await storage.put(files.head, writeHead(held.head));
}

/** What makes git see a repository; `HEAD` last, since without it there is none. What is there stays. */
export async function writeLayout(storage: Storage, files: Files): Promise<void> {
  await storage.create(files.refsFolder, new Uint8Array());
  await storage.create(files.config, new TextEncoder().encode(CONFIG));
  await storage.create(files.head, writeHead({ kind: 'absent' }));
}
