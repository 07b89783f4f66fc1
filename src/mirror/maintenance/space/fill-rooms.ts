/**
 * How much a fill may bring that nobody waits for, so that no mirror makes room for it that is cloned more. Where mirrors take more
 * than they may, they go in the order of their last use (eviction.ts): as many as stand in front of the first hotter one may go.
 * Fills that are under way at once share the room.
 *
 * The store is listed for it, and again when something was stored since, or after a minute. Memory: an entry for each mirror.
 */
import type { Storage } from '../../../storage/contract.ts';
import type { Mirror } from '../../mirror.ts';
import { EVICTED_DOWN_TO, inOrderOfUse } from './eviction.ts';
import { surveyMirrors, type SurveyedMirror } from './survey.ts';

/** With its indexes a pack takes about so many times its bytes. */
const FILES_FACTOR = 1.15;
const SURVEY_KEPT_MS = 60_000;

/** Of a repository that is to be filled, and of those that are here. */
export interface Heat {
  /** Its own `MirrorKeys.root`: what an earlier stage of its fill has left there takes no room from it. */
  readonly root: string;
  /** Clones of it within the window. */
  readonly clones: number;
  /** When a client of this process last asked for it. */
  readonly askedAtMs: number;
  /** Clones within the window by `MirrorKeys.root`. */
  readonly clonesOf: (root: string) => number;
}

/** One fill's. */
export interface FillRoom {
  /** True where nothing fits. */
  readonly isNone: boolean;
  /** Takes bytes of its pack; false where that is too much. */
  take(bytes: number): boolean;
  /** To be called when the fill has ended, however; or when it goes on for a client, whom nothing here limits. */
  release(): void;
}

export interface FillRoomsDeps {
  readonly storage: Pick<Storage, 'list'>;
  /** Undefined: no limit. */
  readonly maxBytes: () => Promise<number | undefined>;
  /** The mirrors that this process knows, by `MirrorKeys.root`. */
  readonly known: () => ReadonlyMap<string, Pick<Mirror, 'usedAtMs'>>;
  readonly now: () => number;
}

export class FillRooms {
  readonly #deps: FillRoomsDeps;
  #survey: { readonly atMs: number; readonly mirrors: readonly SurveyedMirror[] } | undefined;
  /** By fills that are under way. */
  #taken = 0;

  constructor(deps: FillRoomsDeps) {
    this.#deps = deps;
  }

  /** To be called where packs came or went. */
  changed(): void {
    this.#survey = undefined;
  }

  /** Undefined: there is no limit. Rejects where the store fails, and with `aborted`. */
  async of(heat: Heat, signal: AbortSignal): Promise<FillRoom | undefined> {
    const maxBytes = await this.#deps.maxBytes();
    if (maxBytes === undefined) return undefined;
    const mirrors = inOrderOfUse(await this.#mirrors(signal), this.#deps.known());
    const bytes = roomFor(heat, mirrors, maxBytes) / FILES_FACTOR;
    let own = 0;
    let isOver = false;
    return {
      isNone: bytes <= this.#taken,
      take: (more) => {
        if (isOver) return true;
        own += more;
        this.#taken += more;
        return this.#taken <= bytes;
      },
      release: () => {
        this.#taken -= own;
        own = 0;
        isOver = true;
      },
    };
  }

  async #mirrors(signal: AbortSignal): Promise<readonly SurveyedMirror[]> {
    const atMs = this.#deps.now();
    const present = this.#survey;
    if (present !== undefined && atMs - present.atMs < SURVEY_KEPT_MS) return present.mirrors;
    const mirrors: SurveyedMirror[] = [];
    const survey = { atMs, mirrors };
    this.#survey = survey;
    try {
      for await (const mirror of surveyMirrors(this.#deps.storage, signal)) mirrors.push(mirror);
    } catch (error) {
      if (this.#survey === survey) this.#survey = undefined;
      throw error;
    }
    return mirrors;
  }
}

/** Bytes that may come. `mirrors`: those that are here, the least recently used first. */
export function roomFor(
  heat: Heat,
  mirrors: readonly Pick<SurveyedMirror, 'root' | 'bytes' | 'usedAtMs'>[],
  maxBytes: number,
): number {
  const isHotter = ({ root, usedAtMs }: Pick<SurveyedMirror, 'root' | 'usedAtMs'>): boolean => {
    const clones = heat.clonesOf(root);
    return clones > heat.clones || (clones === heat.clones && usedAtMs > heat.askedAtMs);
  };
  const others = mirrors.filter(({ root }) => root !== heat.root);
  const bytes = others.reduce((sum, mirror) => sum + mirror.bytes, 0);
  let colder = 0;
  for (const mirror of others) {
    if (isHotter(mirror)) break;
    colder += mirror.bytes;
  }
  // Either nothing has to go, or what goes goes until there is some air.
  return Math.max(0, maxBytes - bytes, maxBytes * EVICTED_DOWN_TO - (bytes - colder));
}
