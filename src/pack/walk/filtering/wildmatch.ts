/**
 * Glob matching as gitignore patterns mean it: `*`, `?`, `[…]`, `\`, and with slashes kept apart `**`.
 * A pattern is compiled to steps and all ways to match are followed side by side, so that time is bounded by
 * pattern length times text length whatever the pattern. Text and pattern hold one byte a character.
 */
type Step =
  /** One character out of a set (index = its code). */
  | { readonly kind: 'one'; readonly accepts: Uint8Array }
  /** Any run of characters out of a set, the empty one too. */
  | { readonly kind: 'run'; readonly accepts: Uint8Array }
  /** Nothing, or anything that ends in a slash: a "**" with a slash after it. */
  | { readonly kind: 'folders' };

export interface Glob {
  readonly steps: readonly Step[];
}

export interface GlobOptions {
  /** Whether a slash is matched only by a slash and by "**" between slashes. */
  readonly slashesApart: boolean;
}

const SLASH = 0x2f;
const CODES = 256;

/** Compiles `pattern`, or returns `undefined` where no text can match it (an open bracket, a last backslash). */
export function compileGlob(pattern: string, options: GlobOptions): Glob | undefined {
  const steps: Step[] = [];
  const anything = acceptAll(options.slashesApart);
  let at = 0;
  while (at < pattern.length) {
    const character = pattern[at] as string;
    if (character === '*') {
      let end = at;
      while (pattern[end] === '*') end++;
      const opens = at === 0 || pattern[at - 1] === '/';
      const rest = pattern.slice(end);
      if (options.slashesApart && end - at >= 2 && opens && /^(?:$|\\?\/)/.test(rest)) {
        const folders = rest.startsWith('/');
        steps.push(folders ? { kind: 'folders' } : { kind: 'run', accepts: acceptAll(false) });
        at = folders ? end + 1 : end;
      } else {
        steps.push({ kind: 'run', accepts: anything });
        at = end;
      }
    } else if (character === '?') {
      steps.push({ kind: 'one', accepts: anything });
      at++;
    } else if (character === '[') {
      const bracket = parseBracket(pattern, at + 1);
      if (bracket === undefined) return undefined;
      if (options.slashesApart) bracket.accepts[SLASH] = 0;
      steps.push({ kind: 'one', accepts: bracket.accepts });
      at = bracket.end;
    } else {
      if (character === '\\') at++;
      if (at === pattern.length) return undefined;
      steps.push({ kind: 'one', accepts: acceptOnly(pattern.charCodeAt(at)) });
      at++;
    }
  }
  return { steps };
}

/** Whether the whole of `text` matches. */
export function matchesGlob(glob: Glob, text: string): boolean {
  const { steps } = glob;
  let states = new Uint8Array(steps.length + 1);
  reach(steps, states, 0);
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at) & 0xff;
    const next = new Uint8Array(steps.length + 1);
    let alive = false;
    for (let state = 0; state < steps.length; state++) {
      if (states[state] === 0) continue;
      const step = steps[state] as Step;
      if (step.kind === 'folders') {
        next[state] = Math.max(next[state] as number, INSIDE);
        if (code === SLASH) reach(steps, next, state + 1);
      } else if (step.accepts[code] === 1) {
        reach(steps, next, step.kind === 'run' ? state : state + 1);
      } else continue;
      alive = true;
    }
    if (!alive) return false;
    states = next;
  }
  return states[steps.length] !== 0;
}

const INSIDE = 1;

/** Marks `state` and every later one that is reached without reading a character. */
function reach(steps: readonly Step[], states: Uint8Array, state: number): void {
  for (let at = state; ; at++) {
    states[at] = INSIDE;
    const step = steps[at];
    if (step === undefined || step.kind === 'one') return;
  }
}

function acceptAll(butSlash: boolean): Uint8Array {
  const accepts = new Uint8Array(CODES).fill(1);
  if (butSlash) accepts[SLASH] = 0;
  return accepts;
}

function acceptOnly(code: number): Uint8Array {
  const accepts = new Uint8Array(CODES);
  accepts[code & 0xff] = 1;
  return accepts;
}

const CLASSES: Readonly<Record<string, RegExp>> = {
  alnum: /[0-9A-Za-z]/,
  alpha: /[A-Za-z]/,
  blank: /[ \t]/,
  // oxlint-disable-next-line no-control-regex
  cntrl: /[\0-\x1f\x7f]/,
  digit: /[0-9]/,
  graph: /[!-~]/,
  lower: /[a-z]/,
  print: /[ -~]/,
  punct: /[!-/:-@[-`{-~]/,
  space: /[ \t\n\v\f\r]/,
  upper: /[A-Z]/,
  xdigit: /[0-9A-Fa-f]/,
};

/** The set that a bracket expression stands for, `from` being behind its "["; `undefined` if it never closes. */
function parseBracket(
  pattern: string,
  from: number,
): { readonly accepts: Uint8Array; readonly end: number } | undefined {
  const accepts = new Uint8Array(CODES);
  let at = from;
  const negated = pattern[at] === '!' || pattern[at] === '^';
  if (negated) at++;
  let previous = -1;
  for (let first = true; first || pattern[at] !== ']'; first = false) {
    if (at >= pattern.length) return undefined;
    const named = pattern.startsWith('[:', at) ? /^\[:([a-z]*):\]/.exec(pattern.slice(at)) : null;
    if (named !== null) {
      const members = CLASSES[named[1] as string];
      if (members === undefined) return undefined;
      for (let code = 0; code < CODES; code++) {
        if (members.test(String.fromCharCode(code))) accepts[code] = 1;
      }
      at += named[0].length;
      previous = -1;
      continue;
    }
    const isRange = pattern[at] === '-' && previous >= 0 && pattern[at + 1] !== ']';
    if (isRange) at++;
    if (pattern[at] === '\\') at++;
    if (at >= pattern.length) return undefined;
    const code = pattern.charCodeAt(at++) & 0xff;
    for (let member = isRange ? previous : code; member <= code; member++) accepts[member] = 1;
    previous = isRange ? -1 : code;
  }
  if (negated) for (let code = 0; code < CODES; code++) accepts[code] = accepts[code] === 1 ? 0 : 1;
  return { accepts, end: at + 1 };
}
