import { expect, test } from 'vitest';
import { locationWithin } from '../../../src/upstream/exchange/redirect.ts';
import type { UpstreamConfig } from '../../../src/upstream/repository.ts';

const config = (name: string, baseUrl: string): UpstreamConfig => ({ name, baseUrl, ignoresCase: false });
const upstreams = [
  config('up', 'http://127.0.0.1:81'),
  config('sub', 'http://127.0.0.1:81/sub/tree'),
  config('other', 'https://git.example.com'),
];
const from = 'http://127.0.0.1:81/a/b/info/refs?service=git-upload-pack';

test.each([
  ['/c/d/info/refs?service=git-upload-pack', '/git/up/c/d/info/refs?service=git-upload-pack'],
  ['http://127.0.0.1:81/c.git/info/refs', '/git/up/c.git/info/refs'],
  ['../../e/info/refs', '/git/up/a/e/info/refs'],
  ['http://127.0.0.1:81/sub/tree/x/info/refs', '/git/sub/x/info/refs'],
  ['http://127.0.0.1:81/sub/treehouse/info/refs', '/git/up/sub/treehouse/info/refs'],
  ['https://git.example.com/x/y/info/refs?a=1&b=%2F', '/git/other/x/y/info/refs?a=1&b=%2F'],
])('%s stays with hotpack', (location, path) => {
  expect(locationWithin(location, from, upstreams)).toBe(path);
});

test.each([
  ['https://127.0.0.1:81/a'],
  ['http://127.0.0.1:82/a'],
  ['//evil.example.com/a'],
  ['http://127.0.0.1:81.evil.example.com/a'],
  ['http://user:pass@127.0.0.1:81/a'],
  ['ftp://127.0.0.1:81/a'],
  ['http://git.example.com/x'],
  ['http://['],
])('%s leads out', (location) => {
  expect(locationWithin(location, from, upstreams)).toBeUndefined();
});
