import { expect, test } from 'vitest';
import { createPathParser } from '../../../src/http/git-route.ts';
import type { UpstreamConfig } from '../../../src/upstream/repository.ts';

/** Counts how often a path is read: each time the upstream it names is looked for. */
class CountedUpstreams extends Map<string, UpstreamConfig> {
  lookups = 0;

  override get(name: string): UpstreamConfig | undefined {
    this.lookups++;
    return super.get(name);
  }
}

function counted(): CountedUpstreams {
  return new CountedUpstreams([['up', { name: 'up', baseUrl: 'https://up.example', ignoresCase: false }]]);
}

test('a path that came lately is not read once more', () => {
  const upstreams = counted();
  const parse = createPathParser(upstreams);
  const refs = parse('/git/up/team/a.git/info/refs');
  expect(refs).toMatchObject({ kind: 'repository', repository: { name: 'up/team/a' }, rest: '/info/refs' });
  for (let turn = 0; turn < 10; turn++) expect(parse('/git/up/team/a.git/info/refs')).toBe(refs);
  expect(upstreams.lookups).toBe(1);
  expect(parse('/git/up/team/a.git/git-upload-pack')).toMatchObject({ rest: '/git-upload-pack' });
  expect(parse('/git/up/team/A.git/info/refs')).toMatchObject({ repository: { name: 'up/team/A' } });
  expect(upstreams.lookups).toBe(3);
});

test('a thousand paths are remembered, those that were used last', () => {
  const upstreams = counted();
  const parse = createPathParser(upstreams);
  for (let i = 0; i < 1_024; i++) parse(`/git/up/${i}/info/refs`);
  parse('/git/up/0/info/refs');
  parse('/git/up/new/info/refs');
  expect(upstreams.lookups).toBe(1_025);
  parse('/git/up/0/info/refs');
  expect(upstreams.lookups).toBe(1_025);
  parse('/git/up/1/info/refs');
  expect(upstreams.lookups).toBe(1_026);
});

test('what nobody asks for again takes no room: refused paths, unknown upstreams, long ones', () => {
  const upstreams = counted();
  const parse = createPathParser(upstreams);
  for (const path of ['/git/up/../a/info/refs', '/git/other/a/info/refs', `/git/up/${'a/'.repeat(250)}b/info/refs`]) {
    const first = parse(path);
    expect(parse(path)).toEqual(first);
  }
  expect(upstreams.lookups).toBe(6);
});
