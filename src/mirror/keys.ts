/**
 * Where a mirror lies in the store: a bare repository as git itself keeps one (gitrepository-layout), and beside git's
 * files one document of ours. git knows a repository by `HEAD`, `objects/` and `refs/`; stores have no folders, so
 * `refs/` is held open by a file that every git version passes over, since its name ends in `.lock`.
 */
export interface MirrorKeys {
  readonly root: string;
  readonly manifest: string;
  readonly advertised: string;
  /** Written when the mirror is used, at most hourly: when that was is when it last changed. */
  readonly used: string;
  /** What a first fill by stages has come to. */
  readonly incoming: string;
  readonly head: string;
  readonly config: string;
  readonly packedRefs: string;
  readonly refsFolder: string;
  /** Without a trailing slash. */
  readonly packFolder: string;
}

const ROOT = 'mirrors/';

/** `repositoryKey` is `Repository.key`: `<upstream>/<path>.git`. */
export function mirrorKeys(repositoryKey: string): MirrorKeys {
  return mirrorKeysOfRoot(`${ROOT}${repositoryKey}`);
}

/** `Repository.key` from `MirrorKeys.root`. */
export function repositoryKeyOf(root: string): string {
  return root.slice(ROOT.length);
}

/** As `mirrorKeys`, from `MirrorKeys.root`. */
export function mirrorKeysOfRoot(root: string): MirrorKeys {
  return {
    root,
    manifest: `${root}/hotpack/manifest`,
    advertised: `${root}/hotpack/advertised`,
    used: `${root}/hotpack/used`,
    incoming: `${root}/hotpack/incoming`,
    head: `${root}/HEAD`,
    config: `${root}/config`,
    packedRefs: `${root}/packed-refs`,
    refsFolder: `${root}/refs/folder.lock`,
    packFolder: `${root}/objects/pack`,
  };
}

/** The files of one pack, in the order in which they are published: git takes a pack for real once its idx is there. A bitmap may come later. */
export function packKeys(
  packFolder: string,
  packName: string,
): { readonly pack: string; readonly rev: string; readonly idx: string; readonly bitmap: string } {
  const stem = `${packFolder}/${packName}`;
  return { pack: `${stem}.pack`, rev: `${stem}.rev`, idx: `${stem}.idx`, bitmap: `${stem}.bitmap` };
}
