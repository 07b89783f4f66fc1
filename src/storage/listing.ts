/** Listings from their first page to their last: a request for each 1,000 keys. Both reject as `Storage.list` does. */
import type { ObjectInfo, Storage } from './contract.ts';

/** Page by page, for who does something with each. */
export async function* listPages(
  storage: Pick<Storage, 'list'>,
  prefix: string,
  signal?: AbortSignal,
): AsyncGenerator<readonly ObjectInfo[], void, undefined> {
  let after: string | undefined;
  do {
    // oxlint-disable-next-line no-await-in-loop -- each page says where the next one begins
    const page = await storage.list(prefix, after === undefined ? {} : { after }, signal);
    yield page.objects;
    after = page.next;
  } while (after !== undefined);
}

export async function* listObjects(
  storage: Pick<Storage, 'list'>,
  prefix: string,
  signal?: AbortSignal,
): AsyncGenerator<ObjectInfo, void, undefined> {
  for await (const page of listPages(storage, prefix, signal)) yield* page;
}
