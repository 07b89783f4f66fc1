/**
 * Takes a joined `WWW-Authenticate` apart again. `fetch` joins several fields with ", ", git's credential helpers are
 * told of each by itself (gitcredentials, `wwwauth[]`).
 *
 * RFC 9110 11.6.1: a comma stands between challenges and between the parameters of one challenge. A list element begins
 * a challenge if it is `scheme`, `scheme token68` or `scheme param=…`; it belongs to the challenge before it if it is
 * `param=…`. Scheme and parameter are both tokens, so what tells them apart is whether `=` follows the first token.
 */

/** The challenges of one field value, each as it was but for the white space around it. */
export function splitChallenges(value: string): readonly string[] {
  const challenges: string[] = [];
  for (const element of splitElements(value)) {
    const last = challenges.length - 1;
    if (last >= 0 && isParameter(element)) challenges[last] += `, ${element}`;
    else challenges.push(element);
  }
  return challenges;
}

/** Elements of a comma-separated list; commas within quoted strings do not count. Empty elements are dropped. */
function splitElements(value: string): string[] {
  const elements: string[] = [];
  let start = 0;
  let quoted = false;
  for (let i = 0; i <= value.length; i++) {
    const character = value[i];
    if (quoted && character === '\\') i++;
    else if (character === '"') quoted = !quoted;
    if (i >= value.length || (!quoted && character === ',')) {
      const element = value.slice(start, i).trim();
      if (element !== '') elements.push(element);
      start = i + 1;
    }
  }
  return elements;
}

function isParameter(element: string): boolean {
  const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+[ \t]*/.exec(element);
  if (token === null) return true;
  // `Bearer =` or `Basic a2V5==` have white space between; `realm=x`, `realm = x` have a single `=` and then a value.
  return /^=(?!=*$)/.test(element.slice(token[0].length));
}
