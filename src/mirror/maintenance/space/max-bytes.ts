/** How many bytes mirrors may take in all: undefined where there is no limit. */
import type { Storage } from '../../../storage/contract.ts';

export async function maxBytesOf(
  size: { readonly kind: 'bytes'; readonly bytes: number } | { readonly kind: 'share'; readonly percent: number },
  storage: Pick<Storage, 'volumeBytes'>,
): Promise<number | undefined> {
  if (size.kind === 'bytes') return size.bytes === 0 ? undefined : size.bytes;
  const volumeBytes = await storage.volumeBytes?.();
  return volumeBytes === undefined ? undefined : Math.floor((volumeBytes * size.percent) / 100);
}
