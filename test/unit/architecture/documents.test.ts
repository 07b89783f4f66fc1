/** What the documents name has to be there. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('../../..', import.meta.url));

/** Paths of sources in code spans, from the top level or, as the rooms are named, from `src/`. */
function pathsIn(document: string): string[] {
  const text = readFileSync(join(root, document), 'utf8');
  return [...text.matchAll(/`((?:[\w.-]+\/)+[\w.-]+\.ts)`/g)].map((match) => match[1] as string);
}

test.each(['docs/architecture.md', 'README.md'])('every file that %s names is there', (document) => {
  const paths = pathsIn(document);
  expect(paths.length).toBeGreaterThan(2);
  expect(paths.filter((path) => !existsSync(join(root, path)) && !existsSync(join(root, 'src', path)))).toEqual([]);
});
