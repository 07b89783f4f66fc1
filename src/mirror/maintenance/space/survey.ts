/** What lies in the store of each mirror, by listing it: a request for each 1,000 files. */
import type { Storage } from '../../../storage/contract.ts';
import { listObjects } from '../../../storage/listing.ts';

export interface SurveyedMirror {
  /** `mirrors/<Repository.key>`. */
  readonly root: string;
  readonly bytes: number;
  /** When it was last used, to the hour; where that is not known, when something of it last changed. */
  readonly usedAtMs: number;
  /** Names of packs of which any file is there. */
  readonly packs: readonly string[];
}

const ROOT = 'mirrors/';

/** In order of their keys, whatever upstream they are of. */
export async function* surveyMirrors(
  storage: Pick<Storage, 'list'>,
  signal?: AbortSignal,
): AsyncGenerator<SurveyedMirror, void, undefined> {
  let mirror: MirrorInTheMaking | undefined;
  for await (const { key, bytes, modifiedAtMs } of listObjects(storage, ROOT, signal)) {
    const root = rootOf(key);
    if (root === undefined) continue;
    if (mirror !== undefined && mirror.root !== root) yield mirror.finish();
    if (mirror?.root !== root) mirror = new MirrorInTheMaking(root);
    mirror.add(key, bytes, modifiedAtMs);
  }
  if (mirror !== undefined) yield mirror.finish();
}

class MirrorInTheMaking {
  readonly root: string;
  readonly #packs = new Set<string>();
  #bytes = 0;
  #usedAtMs: number | undefined;
  #changedAtMs = 0;

  constructor(root: string) {
    this.root = root;
  }

  add(key: string, bytes: number, modifiedAtMs: number): void {
    this.#bytes += bytes;
    this.#changedAtMs = Math.max(this.#changedAtMs, modifiedAtMs);
    const path = key.slice(this.root.length + 1);
    if (path === 'hotpack/used') this.#usedAtMs = modifiedAtMs;
    const pack = /^objects\/pack\/(pack-[0-9a-f]{40})\./.exec(path)?.[1];
    if (pack !== undefined) this.#packs.add(pack);
  }

  finish(): SurveyedMirror {
    const usedAtMs = this.#usedAtMs ?? this.#changedAtMs;
    return { root: this.root, bytes: this.#bytes, usedAtMs, packs: [...this.#packs] };
  }
}

/** A mirror's folder is the first segment that ends in `.git`: that dot is escaped in all before it. */
export function rootOf(key: string): string | undefined {
  const end = key.indexOf('.git/', ROOT.length);
  return end < 0 ? undefined : key.slice(0, end + 4);
}
