import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { advertiseV0, advertiseV2, v0CapabilitiesFromV2 } from '../../../src/protocol/capabilities/advertise.ts';
import {
  parseAdvertisement,
  writeAdvertisement,
  type Advertisement,
  type V0Advertisement,
} from '../../../src/protocol/capabilities/advertisement.ts';
import { findCapability, parseCapability } from '../../../src/protocol/capabilities/capability.ts';
import { LsRefsAnswerParser, parseLsRefsAnswer, writeLsRefsAnswer } from '../../../src/protocol/ls-refs/answer.ts';
import { writeLsRefs, type LsRefsRequest } from '../../../src/protocol/ls-refs/request.ts';
import { selectRefs } from '../../../src/protocol/ls-refs/select-refs.ts';
import { writeErrorPacket } from '../../../src/protocol/error-packet.ts';
import { NO_REFS, type RefsSnapshot } from '../../../src/protocol/refs-snapshot.ts';
import { bodyOf, GitRepository, textOf } from './git-server.ts';
import { cut, cuts } from './random-cuts.ts';

const EVERYTHING: LsRefsRequest = { peel: true, symrefs: true, unborn: true, prefixes: [] };

function advertisementOf(body: Uint8Array): Advertisement {
  const answer = parseAdvertisement(body);
  if (answer.kind !== 'advertisement') throw new Error(answer.message);
  return answer.advertisement;
}

function refsOf(body: Uint8Array): RefsSnapshot {
  const answer = parseLsRefsAnswer(body);
  if (answer.kind !== 'refs') throw new Error(answer.kind);
  return answer.refs;
}

const repositories: Record<string, GitRepository> = {};

beforeAll(() => {
  const empty = new GitRepository();
  const full = new GitRepository();
  full.commit('1');
  full.git('tag', '-a', 'v1', '-m', 'v1');
  full.git('tag', '-a', 'nested', '-m', 'nested', 'v1');
  full.git('tag', 'light');
  full.commit('2');
  full.git('branch', 'größe/ä');
  full.git('symbolic-ref', 'refs/remotes/origin/HEAD', 'refs/heads/main');
  const detached = new GitRepository();
  detached.commit('1');
  detached.git('checkout', '-q', '--detach');
  detached.commit('2');
  const unborn = new GitRepository();
  unborn.commit('1');
  unborn.git('symbolic-ref', 'HEAD', 'refs/heads/nothing');
  const shallow = new GitRepository();
  shallow.git('fetch', '-q', '--depth=1', `file://${full.path}`, 'main:refs/heads/other');
  const options = new GitRepository();
  options.commit('1');
  for (const key of ['allowFilter', 'allowRefInWant', 'allowSidebandAll', 'allowAnySHA1InWant']) {
    options.git('config', `uploadpack.${key}`, 'true');
  }
  options.git('config', 'transfer.advertiseSID', 'true');
  options.git('config', 'uploadpack.blobPackfileUri', 'x');
  Object.assign(repositories, { empty, full, detached, unborn, shallow, options });
});

afterAll(() => {
  for (const repository of Object.values(repositories)) repository.remove();
});

const KINDS = ['empty', 'full', 'detached', 'unborn', 'shallow', 'options'] as const;

describe.each(KINDS)('what git says of a repository: %s', (kind) => {
  it.each([0, 1, 2] as const)('its v%i advertisement is read and written again', (version) => {
    const body = (repositories[kind] as GitRepository).advertisement(version);
    const advertisement = advertisementOf(body);
    expect(advertisement.version).toBe(version);
    expect(textOf(writeAdvertisement(advertisement, { service: false }))).toBe(textOf(body));
    const overHttp = writeAdvertisement(advertisement, { service: true });
    expect(textOf(overHttp)).toBe(`001e# service=git-upload-pack\n0000${textOf(body)}`);
    expect(advertisementOf(overHttp)).toEqual(advertisement);
  });

  it('its v0 refs are its v2 refs', () => {
    const repository = repositories[kind] as GitRepository;
    const v0 = advertisementOf(repository.advertisement(0)) as V0Advertisement;
    const v2 = refsOf(repository.uploadPack(2, bodyOf('command=ls-refs', '0001', 'peel', 'symrefs', '0000')));
    const plain = v2.refs.map(({ symrefTarget: _omitted, ...ref }) => ref);
    expect(v0.refs).toEqual({ head: v2.head, refs: plain });
  });

  it.each([
    [[]],
    [['refs/heads/', 'refs/tags/', 'HEAD']],
    [['refs/heads/']],
    [['HEAD']],
    [['refs/tags/v', 'refs/heads/ma', 'refs/heads/main', 'nothing']],
    [['refs/remotes/origin/HEAD', 'refs/heads/größe']],
  ])('its ls-refs answer for %j is cut from the full list', (prefixes) => {
    const repository = repositories[kind] as GitRepository;
    const ask = bodyOf('command=ls-refs', '0001', 'peel', 'symrefs', 'unborn', '0000');
    const snapshot = refsOf(repository.uploadPack(2, ask));
    for (const flags of [[], ['peel'], ['symrefs'], ['unborn'], ['peel', 'symrefs', 'unborn']]) {
      const lines = [...flags, ...prefixes.map((prefix) => `ref-prefix ${prefix}`)];
      const theirs = repository.uploadPack(2, bodyOf('command=ls-refs', '0001', ...lines, '0000'));
      const ours = writeLsRefsAnswer(snapshot, {
        peel: flags.includes('peel'),
        symrefs: flags.includes('symrefs'),
        unborn: flags.includes('unborn'),
        prefixes,
      });
      expect(textOf(ours)).toBe(textOf(theirs));
    }
  });

  it('advertises what git does, less what hotpack does not do', () => {
    const repository = repositories[kind] as GitRepository;
    const v2 = advertisementOf(repository.advertisement(2));
    const agent = findCapability(v2.capabilities, 'agent')?.value as string;
    const expected = textOf(repository.advertisement(2)).replace(/[0-9a-f]{4}session-id=.*\n/, '');
    const ours = writeAdvertisement(
      { version: 2, capabilities: advertiseV2(v2.capabilities, agent) },
      { service: false },
    );
    expect(textOf(ours)).toBe(expected);

    const v0 = advertisementOf(repository.advertisement(0)) as V0Advertisement;
    const head = v0.refs.head;
    const capabilities = advertiseV0(v0.capabilities, {
      agent,
      headTarget: head.kind === 'symref' ? head.target : undefined,
    });
    // git 2.39 says nothing at all of an empty repository.
    const theirs = v0.capabilities.filter(({ name }) => name !== 'session-id');
    expect(capabilities).toEqual(theirs.length === 0 ? [{ name: 'agent', value: agent }] : theirs);
  });
});

describe('advertise', () => {
  it('never offers what upstream lacks', () => {
    const bare = ['ls-refs', 'fetch', 'packfile-uris'].map(parseCapability);
    expect(advertiseV2(bare, 'hotpack/1')).toEqual(['agent=hotpack/1', 'ls-refs', 'fetch'].map(parseCapability));
    expect(v0CapabilitiesFromV2(bare).map(({ name }) => name)).not.toContain('shallow');
    expect(v0CapabilitiesFromV2(bare).map(({ name }) => name)).not.toContain('filter');
    const commands = ['object-info', 'bundle-uri', 'server-option', 'session-id=x', 'frobnicate'];
    expect(advertiseV2(commands.map(parseCapability), 'a').map(({ name }) => name)).toEqual([
      'agent',
      'server-option',
      'object-info',
      'bundle-uri',
    ]);
  });

  it('says what it can of an empty repository to v0 clients', () => {
    const body = writeAdvertisement(
      { version: 0, capabilities: [{ name: 'agent', value: 'a' }], refs: NO_REFS, shallows: [] },
      { service: false },
    );
    expect(textOf(body)).toBe(`0045${'0'.repeat(40)} capabilities^{}\0agent=a\n0000`);
    expect(advertisementOf(body)).toMatchObject({ capabilities: [{ name: 'agent' }], refs: NO_REFS });
  });

  it('gives v0 clients what a v2 upstream can back, in git’s order', () => {
    const v2 = ['fetch=shallow filter', 'object-format=sha1'].map(parseCapability);
    const names = advertiseV0(v0CapabilitiesFromV2(v2), { agent: 'hotpack/1', headTarget: 'refs/heads/main' });
    const git = advertisementOf((repositories['options'] as GitRepository).advertisement(0));
    expect(names.map(({ name }) => name)).toEqual(
      git.capabilities.map(({ name }) => name).filter((name) => name !== 'session-id'),
    );
  });
});

describe('hostile advertisements and answers', () => {
  it.each([
    ['nothing', bodyOf(), 'hung up'],
    ['no flush', bodyOf('version 2', 'fetch'), 'hung up'],
    ['a delimiter', bodyOf('version 2', '0001'), 'unexpected delim'],
    ['no object name', bodyOf('hello', '0000'), 'expected to get object ID'],
    ['a short name', bodyOf(`${'1'.repeat(39)} refs/heads/a`, '0000'), 'expected to get object ID'],
    ['no ref name', bodyOf('1'.repeat(40), '0000'), 'unexpected line'],
    ['SHA-256 names', bodyOf(`${'1'.repeat(64)} refs/heads/a`, '0000'), 'unexpected line'],
    ['an HTML page', new TextEncoder().encode('<!DOCTYPE html>'), 'bad line length character'],
  ])('refuses an advertisement of %s', (_, body, message) => {
    expect(() => parseAdvertisement(body)).toThrow(message);
  });

  it.each([
    ['no object name', bodyOf('hello refs/heads/a', '0000')],
    ['no ref name', bodyOf('1'.repeat(40), '0000')],
    ['a bad peeled name', bodyOf(`${'1'.repeat(40)} refs/tags/a peeled:zz`, '0000')],
    ['unborn other refs', bodyOf('unborn refs/heads/a', '0000')],
    ['a delimiter', bodyOf('0001')],
  ])('refuses an ls-refs answer of %s', (_, body) => {
    expect(() => parseLsRefsAnswer(body)).toThrow(/invalid ls-refs response|unexpected delim/);
  });

  it('tells an ERR packet and a cut answer from refs', () => {
    const error = writeErrorPacket('access denied');
    expect(parseAdvertisement(error)).toEqual({ kind: 'error', message: 'access denied' });
    expect(parseLsRefsAnswer(error)).toEqual({ kind: 'error', message: 'access denied' });
    const line = bodyOf(`${'1'.repeat(40)} refs/heads/a`);
    expect(parseLsRefsAnswer(line)).toEqual({ kind: 'truncated' });
    expect(parseLsRefsAnswer(line.subarray(0, 20))).toEqual({ kind: 'truncated' });
  });
});

describe('ls-refs', () => {
  const oid = fc.string({ unit: fc.constantFrom(...'0123456789abcdef'.split('')), minLength: 40, maxLength: 40 });
  const name = fc.string({ unit: fc.constantFrom('a', 'b', '/', 'ü'), minLength: 1, maxLength: 6 });
  const refs = fc.uniqueArray(
    fc.record(
      {
        name: name.map((tail) => `refs/${tail}`),
        oid,
        peeled: oid,
        symrefTarget: name,
        attributes: fc.constant(['x:y', 'flag']),
      },
      { requiredKeys: ['name', 'oid'] },
    ),
    { selector: (ref) => ref.name },
  );
  const head: fc.Arbitrary<RefsSnapshot['head']> = fc.oneof(
    fc.record({ kind: fc.constant('symref' as const), target: name, oid }),
    fc.record({ kind: fc.constant('detached' as const), oid }),
    fc.record({ kind: fc.constant('unborn' as const), target: name }),
    fc.constant({ kind: 'absent' as const }),
  );

  it('reads what it wrote, cut anywhere', () => {
    fc.assert(
      fc.property(head, refs, cuts, (one, list, places) => {
        const snapshot = { head: one, refs: list } as RefsSnapshot;
        const parser = new LsRefsAnswerParser();
        for (const chunk of cut(writeLsRefsAnswer(snapshot, EVERYTHING), places)) parser.push(chunk);
        expect(parser.finish()).toEqual({ kind: 'refs', refs: snapshot });
      }),
    );
  });

  it('selects as a plain search does', () => {
    fc.assert(
      fc.property(
        refs,
        fc.array(
          fc.oneof(
            name.map((tail) => `refs/${tail}`),
            fc.constantFrom('', 'refs/', 'HEAD', 'H'),
          ),
        ),
        (list, prefixes) => {
          const snapshot = { head: { kind: 'detached', oid: '1'.repeat(40) }, refs: list } as RefsSnapshot;
          const matches = (text: string): boolean =>
            prefixes.length === 0 || prefixes.some((prefix) => text.startsWith(prefix));
          const selected = selectRefs(snapshot, prefixes);
          expect(selected.refs).toEqual(list.filter((ref) => matches(ref.name)));
          expect(selected.head.kind).toBe(matches('HEAD') ? 'detached' : 'absent');
        },
      ),
    );
  });

  it('asks a server only for what it advertised', () => {
    const old = { agent: 'hotpack/1', capabilities: [parseCapability('ls-refs')] };
    expect(textOf(writeLsRefs(EVERYTHING, old))).toBe('0014command=ls-refs\n00010009peel\n000csymrefs\n0000');
    const repository = repositories['unborn'] as GitRepository;
    const { capabilities } = advertisementOf(repository.advertisement(2));
    const answer = repository.uploadPack(2, writeLsRefs(EVERYTHING, { agent: 'hotpack/1', capabilities }));
    expect(refsOf(answer).head).toEqual({ kind: 'unborn', target: 'refs/heads/nothing' });
  });
});
