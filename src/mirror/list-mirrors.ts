/** Which mirrors lie in the store, by listing it. */
import type { Storage } from '../storage/contract.ts';
import { listObjects } from '../storage/listing.ts';
import { rootOf } from './maintenance/space/survey.ts';
import { repositoryOfName, type Repository, type UpstreamConfig } from '../upstream/repository.ts';

const ROOT = 'mirrors/';
const MANIFEST = '/hotpack/manifest';

export interface ListedMirror {
  readonly repository: Repository;
}

/**
 * In order of their keys, those that have a manifest and whose upstream is configured. Costs a request for each 1,000
 * files.
 */
export async function* listMirrors(
  storage: Pick<Storage, 'list'>,
  upstreams: ReadonlyMap<string, UpstreamConfig>,
  signal?: AbortSignal,
): AsyncGenerator<ListedMirror, void, undefined> {
  for await (const { key } of listObjects(storage, ROOT, signal)) {
    const root = key.endsWith(MANIFEST) ? rootOf(key) : undefined;
    const repository = root === undefined ? undefined : repositoryOfRoot(root, upstreams);
    if (repository !== undefined) yield { repository };
  }
}

/** Bytes of all files of one mirror. */
export async function sizeOfMirror(
  storage: Pick<Storage, 'list'>,
  repository: Repository,
  signal?: AbortSignal,
): Promise<number> {
  let bytes = 0;
  for await (const object of listObjects(storage, `${ROOT}${repository.key}/`, signal)) bytes += object.bytes;
  return bytes;
}

function repositoryOfRoot(root: string, upstreams: ReadonlyMap<string, UpstreamConfig>): Repository | undefined {
  try {
    const repository = repositoryOfName(decodeURIComponent(root.slice(ROOT.length, -'.git'.length)), upstreams);
    return `${ROOT}${repository.key}` === root ? repository : undefined;
  } catch {
    // Not a name of ours, or of an upstream that is not configured any more.
    return undefined;
  }
}
