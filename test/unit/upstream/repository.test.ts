import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isHotpackError } from '../../../src/bytes/error.ts';
import { parseRepositoryPath, repositoryOfName, type UpstreamConfig } from '../../../src/upstream/repository.ts';

const upstreams = new Map<string, UpstreamConfig>([
  ['github.com', { name: 'github.com', baseUrl: 'https://github.com', ignoresCase: true }],
  ['up', { name: 'up', baseUrl: 'http://127.0.0.1:81/base', ignoresCase: false }],
]);
const parse = (path: string) => parseRepositoryPath(path, upstreams);

/** path → name, key, url, rest. */
const GOOD: ReadonlyArray<readonly [string, string, string, string, string]> = [
  ['/git/github.com/A/B/info/refs', 'github.com/a/b', 'github.com/a/b.git', 'https://github.com/A/B', '/info/refs'],
  [
    '/git/github.com/A/B.git/git-upload-pack',
    'github.com/a/b',
    'github.com/a/b.git',
    'https://github.com/A/B.git',
    '/git-upload-pack',
  ],
  [
    '/git/GitHub.com/a/b.GIT/info/refs',
    'github.com/a/b',
    'github.com/a/b.git',
    'https://github.com/a/b.GIT',
    '/info/refs',
  ],
  ['/git/up/A/B.git/info/refs', 'up/A/B', 'up/A/B.git', 'http://127.0.0.1:81/base/A/B.git', '/info/refs'],
  ['/git/up/one/info/refs', 'up/one', 'up/one.git', 'http://127.0.0.1:81/base/one', '/info/refs'],
  [
    '/git/up/g/s/t/r/git-receive-pack',
    'up/g/s/t/r',
    'up/g/s/t/r.git',
    'http://127.0.0.1:81/base/g/s/t/r',
    '/git-receive-pack',
  ],
  [
    '/git/up/a.git/b.git/info/refs',
    'up/a.git/b',
    'up/a%2Egit/b.git',
    'http://127.0.0.1:81/base/a.git/b.git',
    '/info/refs',
  ],
  ['/git/up/a.git.git/HEAD', 'up/a.git', 'up/a.git.git', 'http://127.0.0.1:81/base/a.git.git', '/HEAD'],
  [
    '/git/up/a%20b/c~d.git/info/refs',
    'up/a b/c~d',
    'up/a%20b/c%7Ed.git',
    'http://127.0.0.1:81/base/a%20b/c~d.git',
    '/info/refs',
  ],
  ['/git/up/%C3%A9/x/info/refs', 'up/é/x', 'up/%C3%A9/x.git', 'http://127.0.0.1:81/base/%C3%A9/x', '/info/refs'],
  ['/git/up/a%252e/b/info/refs', 'up/a%2e/b', 'up/a%252e/b.git', 'http://127.0.0.1:81/base/a%252e/b', '/info/refs'],
  [
    '/git/up/a/b.git/info/lfs/objects/batch',
    'up/a/b',
    'up/a/b.git',
    'http://127.0.0.1:81/base/a/b.git',
    '/info/lfs/objects/batch',
  ],
  [
    '/git/up/a/b/info/lfs/locks/12/unlock',
    'up/a/b',
    'up/a/b.git',
    'http://127.0.0.1:81/base/a/b',
    '/info/lfs/locks/12/unlock',
  ],
  ['/git/up/a/b/objects/info/packs', 'up/a/b', 'up/a/b.git', 'http://127.0.0.1:81/base/a/b', '/objects/info/packs'],
  [
    `/git/up/a/objects/r/objects/ab/${'c'.repeat(38)}`,
    'up/a/objects/r',
    'up/a/objects/r.git',
    'http://127.0.0.1:81/base/a/objects/r',
    `/objects/ab/${'c'.repeat(38)}`,
  ],
  [
    `/git/up/r/objects/pack/pack-${'0'.repeat(40)}.idx`,
    'up/r',
    'up/r.git',
    'http://127.0.0.1:81/base/r',
    `/objects/pack/pack-${'0'.repeat(40)}.idx`,
  ],
  [
    '/git/up/a/b.git/gitlab-lfs/objects/x/1',
    'up/a/b',
    'up/a/b.git',
    'http://127.0.0.1:81/base/a/b.git',
    '/gitlab-lfs/objects/x/1',
  ],
  [
    '/git/up/a/b/info/refs/info/refs',
    'up/a/b/info/refs',
    'up/a/b/info/refs.git',
    'http://127.0.0.1:81/base/a/b/info/refs',
    '/info/refs',
  ],
  ['/git/up/users/sign_in', 'up/users/sign_in', 'up/users/sign_in.git', 'http://127.0.0.1:81/base/users/sign_in', ''],
];

test.each(GOOD)('%s is a repository', (path, ...expected) => {
  const [name, key, url, rest] = expected;
  const parsed = parse(path);
  expect(parsed).toMatchObject({ kind: 'repository', rest, repository: { name, key, url } });
});

test.each([
  ['/git/up/../x/info/refs'],
  ['/git/up/a/./b/info/refs'],
  ['/git/up/a/%2e%2E/b/info/refs'],
  ['/git/up/a%2Fb/info/refs'],
  ['/git/up/a%5cb/info/refs'],
  ['/git/up/a\\b/info/refs'],
  ['/git/up/a//b/info/refs'],
  ['/git/up//a/info/refs'],
  ['/git/up/a/b//info/refs'],
  ['/git/up/a%00b/info/refs'],
  ['/git/up/a%0ab/info/refs'],
  ['/git/up/a%7f/info/refs'],
  ['/git/up/a%C2%85/info/refs'],
  ['/git/up/a%/info/refs'],
  ['/git/up/a%ff/info/refs'],
  ['/git/up/.git/info/refs'],
  ['/git/up/a/.git/info/refs'],
  ['/git/up/a/..git/info/refs'],
  ['/git/up/a/...git/info/refs'],
  ['/git/up/a.git/x/%2e%2e/y'],
  ['/git/up/'],
  ['/git/up'],
  ['/git/'],
  [`/git/up/${'a'.repeat(241)}/info/refs`],
  [`/git/up/${'abcdefgh/'.repeat(60)}r/info/refs`],
])('%s is refused', (path) => {
  expect(parse(path).kind).toBe('bad_request');
});

test('an upstream that is not configured is told apart, and not echoed raw', () => {
  expect(parse('/git/evil.com/a/b/info/refs')).toEqual({ kind: 'unknown_upstream', name: 'evil.com' });
  expect(parse('/git/e<script>/a/b/info/refs')).toEqual({ kind: 'unknown_upstream', name: 'e?script?' });
});

test('keys are storage keys, no two names share one, and no key lies within another', () => {
  const segment = fc.string({
    minLength: 1,
    maxLength: 12,
    unit: fc.constantFrom('a', 'B', '.', '~', 'é', ' ', '%', '-', '.git'),
  });
  const path = fc.array(segment, { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(path, path, (left, right) => {
      const [one, two] = [left, right].map((segments) =>
        parse(`/git/up/${segments.map(encodeURIComponent).join('/')}/info/refs`),
      );
      if (one?.kind !== 'repository' || two?.kind !== 'repository') return;
      for (const part of one.repository.key.split('/')) expect(part).toMatch(/^[A-Za-z0-9._%~-]+$/);
      expect(one.repository.key === two.repository.key).toBe(one.repository.name === two.repository.name);
      expect(`${two.repository.key}/`.startsWith(`${one.repository.key}/`)).toBe(
        one.repository.name === two.repository.name,
      );
      expect(repositoryOfName(one.repository.name, upstreams)).toMatchObject({
        key: one.repository.key,
        name: one.repository.name,
      });
    }),
    { numRuns: 2_000 },
  );
});

test('a stored name is checked like a path', () => {
  for (const name of ['up', 'up/', 'up/a/../b', 'up/a//b', 'nowhere/a']) {
    expect(() => repositoryOfName(name, upstreams)).toThrow(
      expect.toSatisfy((error: unknown) => isHotpackError(error, 'invalid_argument')),
    );
  }
});
