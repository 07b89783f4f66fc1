/**
 * The lines that v0, v1 and v2 share: wants, haves, the shallow boundary, deepening and filter. Checks what the
 * wire can tell; errors carry the words of git's upload-pack.
 */
import { HotpackError } from '../../bytes/error.ts';
import { isOid, type Oid } from '../../bytes/oid.ts';
import type { FetchDeepen, FetchFilter, UnsupportedFilter } from '../fetch-request.ts';
import { parseFilter } from './filter.ts';

const MAX_DEPTH = 0x7fffffff;

export class FetchArguments {
  readonly #wants = new Set<Oid>();
  readonly #shallows = new Set<Oid>();
  readonly #notRefs = new Set<string>();
  readonly haves: Oid[] = [];
  deepenRelative = false;
  #depth: number | undefined;
  #sinceSeconds: number | undefined;
  #filterText: string | undefined;

  get wants(): readonly Oid[] {
    return [...this.#wants];
  }

  get shallows(): readonly Oid[] {
    return [...this.#shallows];
  }

  get filterText(): string | undefined {
    return this.#filterText;
  }

  get filter(): FetchFilter | UnsupportedFilter {
    return this.#filterText === undefined ? { kind: 'none' } : parseFilter(this.#filterText);
  }

  /** Throws `malformed_request` where the lines contradict each other. */
  get deepen(): FetchDeepen {
    const revs = this.#sinceSeconds !== undefined || this.#notRefs.size > 0;
    if (this.#depth !== undefined && revs) {
      throw malformed('git upload-pack: deepen and deepen-since (or deepen-not) cannot be used together');
    }
    if (this.#depth !== undefined) {
      return { kind: 'depth', depth: this.#depth, relative: this.deepenRelative };
    }
    if (!revs) return { kind: 'none' };
    return { kind: 'revs', sinceSeconds: this.#sinceSeconds, notRefs: [...this.#notRefs] };
  }

  want(oid: Oid): void {
    this.#wants.add(oid);
  }

  /** Takes `have <oid>`. False: another line. */
  takeHave(line: string): boolean {
    if (!line.startsWith('have ')) return false;
    const oid = parseOid(line.slice(5));
    if (oid === undefined) {
      throw malformed(`git upload-pack: expected SHA1 object, got '${line.slice(5)}'`);
    }
    this.haves.push(oid);
    return true;
  }

  /** Takes a line about shallow boundaries that all versions write alike. False: another line. */
  takeShallow(line: string): boolean {
    if (line.startsWith('shallow ')) {
      const oid = parseOid(line.slice(8));
      if (oid === undefined) throw malformed(`invalid shallow line: ${line}`);
      this.#shallows.add(oid);
    } else if (line.startsWith('deepen ')) {
      const depth = parseCount(line.slice(7));
      if (depth === undefined || depth === 0 || depth > MAX_DEPTH) {
        throw malformed(`Invalid deepen: ${line}`);
      }
      this.#depth = depth;
    } else if (line.startsWith('deepen-since ')) {
      const seconds = parseCount(line.slice(13));
      if (seconds === undefined) throw malformed(`Invalid deepen-since: ${line}`);
      this.#sinceSeconds = seconds;
    } else if (line.startsWith('deepen-not ')) {
      const name = line.slice(11);
      if (name === '') throw malformed(`git upload-pack: ambiguous deepen-not: ${line}`);
      this.#notRefs.add(name);
    } else {
      return false;
    }
    return true;
  }

  /** Takes `filter <spec>`. False: another line. */
  takeFilter(line: string): boolean {
    if (!line.startsWith('filter ')) return false;
    if (this.#filterText !== undefined) throw malformed('multiple filter-specs cannot be combined');
    this.#filterText = line.slice(7);
    return true;
  }
}

/** Git reads object names in either case. */
export function parseOid(text: string): Oid | undefined {
  const lower = text.toLowerCase();
  return isOid(lower) ? lower : undefined;
}

export function malformed(message: string): HotpackError {
  return new HotpackError('malformed_request', message);
}

function parseCount(text: string): number | undefined {
  if (!/^(0|[1-9]\d*)$/.test(text)) return undefined;
  const count = Number(text);
  return Number.isSafeInteger(count) ? count : undefined;
}
