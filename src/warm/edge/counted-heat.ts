/**
 * How much each repository is cloned, as the last pass has counted it, for those who carry out what it hands over and would each
 * have to read all counts again. One object, written anew by each pass: the most cloned first, as many as fit into a MiB.
 */
import { mirrorKeys, repositoryKeyOf } from '../../mirror/keys.ts';
import type { Heat } from '../../mirror/maintenance/space/fill-rooms.ts';
import type { Storage } from '../../storage/contract.ts';
import type { Repository } from '../../upstream/repository.ts';

const KEY = 'jobs/warm/clones';
const MAX_BYTES = 1024 * 1024;

/** `clones`: within the window by `Repository.key`, the most cloned first. Whoever is left out counts as never cloned. */
export async function writeHeat(
  storage: Pick<Storage, 'put'>,
  clones: ReadonlyMap<string, number>,
  signal?: AbortSignal,
): Promise<void> {
  const lines: string[] = [];
  let bytes = 0;
  for (const [key, count] of clones) {
    const line = `${count} ${key}\n`;
    // Keys are percent-encoded: a byte a character.
    bytes += line.length;
    if (bytes > MAX_BYTES) break;
    lines.push(line);
  }
  await storage.put(KEY, new TextEncoder().encode(lines.join('')), signal);
}

/** Where nothing is known every mirror counts as hotter: none is to go for it. Rejects where the store fails, and with `aborted`. */
export async function readHeat(
  storage: Pick<Storage, 'readAll'>,
  of: { readonly repository: Repository; readonly askedAtMs: number | undefined },
  signal?: AbortSignal,
): Promise<Heat> {
  const { key } = of.repository;
  const { root } = mirrorKeys(key);
  const askedAtMs = of.askedAtMs ?? Number.NEGATIVE_INFINITY;
  const found = await storage.readAll(KEY, MAX_BYTES, signal);
  if (found.kind === 'absent') return { root, clones: 0, askedAtMs, clonesOf: () => Number.POSITIVE_INFINITY };
  const clones = parseCounts(new TextDecoder().decode(found.bytes));
  const clonesOf = (other: string): number => clones.get(other) ?? 0;
  return { root, clones: clonesOf(key), askedAtMs, clonesOf: (other) => clonesOf(repositoryKeyOf(other)) };
}

function parseCounts(text: string): ReadonlyMap<string, number> {
  const clones = new Map<string, number>();
  for (const line of text.split('\n')) {
    const space = line.indexOf(' ');
    const count = Number(line.slice(0, Math.max(0, space)));
    if (space > 0 && Number.isSafeInteger(count)) clones.set(line.slice(space + 1), count);
  }
  return clones;
}
