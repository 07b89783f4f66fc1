/** What is known of repositories one by one, for those who run hotpack: from the store, and from this process. */
import type { Storage } from '../storage/contract.ts';
import { repositoryOfName, type Repository, type UpstreamConfig } from '../upstream/repository.ts';
import { parseManifest } from './catalog/manifest.ts';
import { mirrorKeys } from './keys.ts';
import { listMirrors, sizeOfMirror } from './list-mirrors.ts';
import type { MirrorSource } from './mirrors.ts';

export interface RepositoryState {
  readonly repo: string;
  /** `failed`: the last try to fill it, in this process. */
  readonly state: 'absent' | 'filling' | 'ready' | 'failed';
  /** Of all files of its mirror. */
  readonly bytes: number;
  readonly packs: number;
  /** When upstream was last asked; undefined: not that this process knows. */
  readonly refsCheckedAtMs: number | undefined;
  /** When this process last answered about it; undefined: not since it started. */
  readonly lastAskedAtMs: number | undefined;
}

export interface RepositoryStates {
  /** Of all that have a mirror in the store. */
  names(signal?: AbortSignal): Promise<readonly string[]>;
  of(name: string, signal?: AbortSignal): Promise<RepositoryState>;
}

export function createRepositoryStates(
  storage: Storage,
  mirrors: Pick<MirrorSource, 'known'>,
  upstreams: ReadonlyMap<string, UpstreamConfig>,
): RepositoryStates {
  return {
    async names(signal) {
      const names: string[] = [];
      for await (const { repository } of listMirrors(storage, upstreams, signal)) names.push(repository.name);
      return names;
    },
    async of(name, signal) {
      const repository = repositoryOf(name, upstreams);
      const known = mirrors.known(name);
      const packs = repository === undefined ? 0 : await packsOf(storage, repository, signal);
      const bytes = packs === 0 || repository === undefined ? 0 : await sizeOfMirror(storage, repository, signal);
      const work = known?.fillState ?? 'idle';
      return {
        repo: name,
        state: packs > 0 ? 'ready' : work === 'idle' ? 'absent' : work,
        bytes,
        packs,
        refsCheckedAtMs: known?.refsCheckedAtMs,
        lastAskedAtMs: known?.lastAskedAtMs,
      };
    },
  };
}

/** 0 where there is nothing to serve from. */
async function packsOf(storage: Storage, repository: Repository, signal?: AbortSignal): Promise<number> {
  const found = await storage.readDocument(mirrorKeys(repository.key).manifest, signal);
  return found.kind === 'absent' ? 0 : parseManifest(found.bytes).packs.length;
}

/** Counted names may be of an upstream that is not configured any more. */
function repositoryOf(name: string, upstreams: ReadonlyMap<string, UpstreamConfig>): Repository | undefined {
  try {
    return repositoryOfName(name, upstreams);
  } catch {
    return undefined;
  }
}
