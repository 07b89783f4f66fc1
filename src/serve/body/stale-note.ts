import type { ServeContext } from '../contract.ts';

/** What is added to the line that says where an answer comes from. */
export function staleNote({ granted }: ServeContext): string {
  return granted.stale ? '; upstream gives no answer, so this may not be its latest' : '';
}
