/**
 * What sparse patterns say about the paths that a walk comes through. A folder's verdict holds for what lies
 * in it, unless a pattern speaks of that itself; at the root nothing is kept. Each folder's path is judged
 * once, and each (path, tree) is entered once.
 */
import type { SparsePatterns } from './sparse-patterns.ts';

/** A folder's path as the walk has come to it. */
export interface FilterPath {
  readonly path: string;
  /** By pattern list: whether what no pattern speaks of is kept in here. */
  readonly keeps: readonly boolean[];
  readonly folders: Map<string, FilterPath>;
  readonly entered: Set<number>;
}

export class PathVerdicts {
  readonly #patterns: readonly SparsePatterns[];
  /** The path of commits' root trees. */
  readonly root: FilterPath;
  /** The path of trees that were asked for by name: nobody knows where they lie. */
  readonly wanted: FilterPath;

  constructor(patterns: readonly SparsePatterns[]) {
    this.#patterns = patterns;
    const nothing = patterns.map(() => false);
    this.root = newPath('', this.#judge({ path: '', base: '', isFolder: true }, nothing));
    this.wanted = newPath('', nothing);
  }

  /** False where `tree` was entered at this path before. */
  enter(path: FilterPath, tree: number): boolean {
    if (path.entered.has(tree)) return false;
    path.entered.add(tree);
    return true;
  }

  folder(parent: FilterPath, base: string): FilterPath {
    let folder = parent.folders.get(base);
    if (folder === undefined) {
      const path = joined(parent.path, base);
      folder = newPath(path, this.#judge({ path, base, isFolder: true }, parent.keeps));
      parent.folders.set(base, folder);
    }
    return folder;
  }

  keepsFile(parent: FilterPath, base: string): boolean {
    const name = { path: joined(parent.path, base), base, isFolder: false };
    return this.#judge(name, parent.keeps).every(Boolean);
  }

  #judge(
    name: { readonly path: string; readonly base: string; readonly isFolder: boolean },
    otherwise: readonly boolean[],
  ): boolean[] {
    return this.#patterns.map((patterns, index) => {
      const verdict = patterns.verdict(name);
      return verdict === undefined ? (otherwise[index] as boolean) : verdict === 'keep';
    });
  }
}

function newPath(path: string, keeps: readonly boolean[]): FilterPath {
  return { path, keeps, folders: new Map(), entered: new Set() };
}

function joined(folder: string, base: string): string {
  return folder === '' ? base : `${folder}/${base}`;
}
