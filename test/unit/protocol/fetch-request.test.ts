import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseCapability } from '../../../src/protocol/capabilities/capability.ts';
import { createFetchRequest } from '../../../src/protocol/fetch/create-fetch-request.ts';
import { parseFilter } from '../../../src/protocol/fetch/filter.ts';
import { parseV0Fetch } from '../../../src/protocol/fetch/v0-request.ts';
import { writeFetch } from '../../../src/protocol/fetch/write-fetch.ts';
import type { FetchRequest } from '../../../src/protocol/fetch-request.ts';
import { parseV2Command } from '../../../src/protocol/v2-command.ts';
import { bodyOf, textOf } from './git-server.ts';

const A = 'a'.repeat(40);
const B = 'b'.repeat(40);
const C = 'c'.repeat(40);
const HEAD = ['command=fetch', 'agent=git/X', 'object-format=sha1', '0001'];
const PEER = {
  agent: 'git/X',
  capabilities: ['agent=s', 'fetch=shallow', 'server-option', 'object-format=sha1'].map(parseCapability),
};

function fetchOf(...lines: readonly string[]): FetchRequest {
  const command = parseV2Command(bodyOf(...HEAD, ...lines, '0000'));
  if (command.kind !== 'fetch') throw new Error(command.kind);
  return command.request;
}

function v0Of(version: 0 | 1, ...lines: readonly string[]): FetchRequest {
  const parsed = parseV0Fetch(bodyOf(...lines), version);
  if (parsed.kind !== 'fetch') throw new Error(parsed.kind);
  return parsed.request;
}

const FLAGS = ['thin-pack', 'no-progress', 'ofs-delta'];

/** What git's clients send (2.39 to 2.55), and what of it is not the default of a fetch. */
const SHAPES: readonly [string, readonly string[], Partial<FetchRequest>][] = [
  ['clone', [...FLAGS, `want ${A}`, `want ${A}`, `want ${B}`, 'done'], { wants: [A, B] }],
  ['clone on a terminal', ['thin-pack', 'ofs-delta', `want ${A}`, 'done'], { wants: [A], noProgress: false }],
  [
    'clone --depth=1',
    ['thin-pack', 'no-progress', 'include-tag', 'ofs-delta', 'deepen 1', `want ${A}`, 'done'],
    { wants: [A], includeTag: true, deepen: { kind: 'depth', depth: 1, relative: false } },
  ],
  [
    'clone --filter=blob:none',
    [...FLAGS, 'filter blob:none', `want ${A}`, 'done'],
    { wants: [A], filter: { kind: 'blob-none' }, filterText: 'blob:none' },
  ],
  [
    'clone --filter=blob:limit=1k',
    [...FLAGS, 'filter blob:limit=1024', `want ${A}`, 'done'],
    { wants: [A], filter: { kind: 'blob-limit', bytes: 1024 }, filterText: 'blob:limit=1024' },
  ],
  [
    'clone --filter=tree:0',
    [...FLAGS, 'filter tree:0', `want ${A}`, 'done'],
    { wants: [A], filter: { kind: 'tree', depth: 0 }, filterText: 'tree:0' },
  ],
  [
    'fetch',
    [...FLAGS, `want ${A}`, `have ${B}`, `have ${C}`, `have ${B}`],
    { wants: [A], haves: [B, C, B], done: false, haveEnd: 'flush' },
  ],
  [
    'fetch in a shallow clone',
    [...FLAGS, `shallow ${B}`, `want ${A}`, `have ${B}`],
    { wants: [A], haves: [B], shallows: [B], done: false, haveEnd: 'flush' },
  ],
  [
    'fetch --deepen=5',
    [...FLAGS, `shallow ${B}`, 'deepen 5', 'deepen-relative', `want ${A}`, `have ${A}`],
    {
      wants: [A],
      haves: [A],
      shallows: [B],
      done: false,
      haveEnd: 'flush',
      deepen: { kind: 'depth', depth: 5, relative: true },
    },
  ],
  [
    'fetch --unshallow',
    [...FLAGS, `shallow ${B}`, 'deepen 2147483647', `want ${A}`, `have ${A}`],
    {
      wants: [A],
      haves: [A],
      shallows: [B],
      done: false,
      haveEnd: 'flush',
      deepen: { kind: 'depth', depth: 2147483647, relative: false },
    },
  ],
  [
    'fetch --shallow-since --shallow-exclude',
    [...FLAGS, 'deepen-since 1701468800', 'deepen-not v1', `want ${A}`, 'done'],
    { wants: [A], deepen: { kind: 'revs', sinceSeconds: 1701468800, notRefs: ['v1'] } },
  ],
  [
    'want-ref',
    [...FLAGS, 'sideband-all', 'packfile-uris http,https', 'want-ref refs/heads/main', 'wait-for-done', 'done'],
    { wantRefs: ['refs/heads/main'], sidebandAll: true, waitForDone: true, packfileUris: ['http', 'https'] },
  ],
];

describe('v2 fetch', () => {
  it.each(SHAPES)('%s is read, and written as it was', (_, lines, meaning) => {
    const request = fetchOf(...lines);
    expect(request).toEqual(createFetchRequest({ thinPack: true, agent: 'git/X', ...meaning }));
    const once = lines.filter((line, at) => !line.startsWith('want ') || lines.indexOf(line) === at);
    expect(textOf(writeFetch(request, PEER))).toBe(textOf(bodyOf(...HEAD, ...once, '0000')));
  });

  it('reads what it wrote', () => {
    const oid = fc.string({ unit: fc.constantFrom(...'0123456789abcdef'.split('')), minLength: 40, maxLength: 40 });
    const name = fc.string({ unit: fc.constantFrom('a', 'ü', '/', '-'), minLength: 1, maxLength: 8 });
    const flag = fc.boolean();
    const deepen: fc.Arbitrary<FetchRequest['deepen']> = fc.oneof(
      fc.constant({ kind: 'none' as const }),
      fc.record({
        kind: fc.constant('depth' as const),
        depth: fc.integer({ min: 1, max: 2147483647 }),
        relative: flag,
      }),
      fc
        .record({
          kind: fc.constant('revs' as const),
          sinceSeconds: fc.option(fc.maxSafeNat(), { nil: undefined }),
          notRefs: fc.uniqueArray(name, { maxLength: 3 }),
        })
        .filter(({ sinceSeconds, notRefs }) => sinceSeconds !== undefined || notRefs.length > 0),
    );
    const filterText = fc.option(fc.constantFrom('blob:none', 'tree:3', 'sparse:path=x', 'combine:blob:none+tree:2'), {
      nil: undefined,
    });
    const fields = fc.record({
      wants: fc.uniqueArray(oid, { maxLength: 4 }),
      wantRefs: fc.uniqueArray(name, { maxLength: 2 }),
      haves: fc.array(oid, { maxLength: 4 }),
      shallows: fc.uniqueArray(oid, { maxLength: 3 }),
      deepen,
      filterText,
      done: flag,
      waitForDone: flag,
      thinPack: flag,
      ofsDelta: flag,
      includeTag: flag,
      noProgress: flag,
      sidebandAll: flag,
      serverOptions: fc.array(name, { maxLength: 2 }),
    });
    fc.assert(
      fc.property(fields, (chosen) => {
        const filter = chosen.filterText === undefined ? { kind: 'none' as const } : parseFilter(chosen.filterText);
        const request = createFetchRequest({ ...chosen, filter, agent: 'git/X' });
        expect(parseV2Command(writeFetch(request, PEER))).toMatchObject({ kind: 'fetch', request });
      }),
    );
  });

  it('is the same whatever version it came in', () => {
    const features = 'multi_ack_detailed no-done side-band-64k thin-pack no-progress ofs-delta filter agent=git/X';
    const old = v0Of(
      0,
      `want ${A} ${features}`,
      `want ${B}`,
      `shallow ${C}`,
      'deepen 3',
      'filter tree:1',
      '0000',
      `have ${C}`,
      'done',
    );
    const now = fetchOf(
      ...FLAGS,
      `shallow ${C}`,
      'deepen 3',
      'filter tree:1',
      `want ${A}`,
      `want ${B}`,
      `have ${C}`,
      'done',
    );
    expect(old).toEqual({ ...now, version: 0 });
    expect(textOf(writeFetch(old, PEER))).toBe(textOf(writeFetch(now, PEER)));
  });

  it('says nothing to a server that it did not advertise', () => {
    const bare = { agent: 'a', capabilities: [parseCapability('fetch')], serverOptions: ['x'] };
    expect(textOf(writeFetch(createFetchRequest({ wants: [A] }), bare))).toBe(
      textOf(bodyOf('command=fetch', '0001', 'no-progress', 'ofs-delta', `want ${A}`, 'done', '0000')),
    );
  });
});

describe('v2 commands', () => {
  it('ls-refs, as clone asks', () => {
    const lines = ['peel', 'symrefs', 'unborn', 'ref-prefix refs/heads/', 'ref-prefix HEAD'];
    expect(parseV2Command(bodyOf('command=ls-refs', 'server-option=o', '0001', ...lines, '0000'))).toEqual({
      kind: 'ls-refs',
      request: { peel: true, symrefs: true, unborn: true, prefixes: ['refs/heads/', 'HEAD'] },
      context: { agent: undefined, serverOptions: ['o'], capabilities: ['server-option=o'] },
    });
  });

  it('gives up on prefixes where git does', () => {
    const prefixesOf = (count: number): number => {
      const lines = Array.from({ length: count }, (_, index) => `ref-prefix ${index}`);
      const command = parseV2Command(bodyOf('command=ls-refs', '0001', ...lines, '0000'));
      return command.kind === 'ls-refs' ? command.request.prefixes.length : -1;
    };
    expect([prefixesOf(65535), prefixesOf(65536), prefixesOf(65540)]).toEqual([65535, 0, 0]);
  });

  it('bundle-uri, whose capabilities come before the command', () => {
    const body = bodyOf('agent=git/X', 'object-format=sha1', 'command=bundle-uri', '0001', '0000');
    expect(parseV2Command(body)).toMatchObject({ kind: 'other', command: 'bundle-uri', context: { agent: 'git/X' } });
  });

  it('probes', () => {
    expect(parseV2Command(bodyOf('0000'))).toEqual({ kind: 'empty' });
    expect(parseV2Command(bodyOf())).toEqual({ kind: 'empty' });
    expect(parseV0Fetch(bodyOf('0000'), 0)).toEqual({ kind: 'empty' });
    expect(parseV0Fetch(bodyOf(), 1)).toEqual({ kind: 'empty' });
  });

  it.each<[string, readonly string[], string]>([
    ['no command', ['agent=x', '0000'], 'no command requested'],
    ['a delimiter alone', ['0001', '0000'], 'no command requested'],
    [
      'two commands',
      ['command=fetch', 'command=ls-refs', '0000'],
      "command 'ls-refs' requested after already requesting command 'fetch'",
    ],
    ['a nameless command', ['command=', '0000'], "invalid command ''"],
    ['a command with a value', ['command=fetch=x', '0000'], "invalid command 'fetch=x'"],
    [
      'SHA-256',
      ['command=fetch', 'object-format=sha256', '0001', '0000'],
      'mismatched object format: server sha1; client sha256',
    ],
    ['no flush', ['command=fetch', '0001', 'done'], 'the remote end hung up unexpectedly'],
    ['a head without an end', ['command=fetch'], 'the remote end hung up unexpectedly'],
    ['a second delimiter', ['command=ls-refs', '0001', '0001', '0000'], 'expected flush after ls-refs arguments'],
    ['an unknown ls-refs line', ['command=ls-refs', '0001', 'x', '0000'], "unexpected line: 'x'"],
    ['an unknown fetch line', ['command=fetch', '0001', 'x', '0000'], "unexpected line: 'x'"],
    ['a short want', ['command=fetch', '0001', 'want 12', '0000'], "expected to get oid, not 'want 12'"],
    ['a long want', ['command=fetch', '0001', `want ${A}0`, '0000'], 'expected to get oid'],
    ['a bad have', ['command=fetch', '0001', 'have x', '0000'], "git upload-pack: expected SHA1 object, got 'x'"],
    ['a bad boundary', ['command=fetch', '0001', 'shallow x', '0000'], 'invalid shallow line: shallow x'],
    ['no depth', ['command=fetch', '0001', 'deepen 0', '0000'], 'Invalid deepen: deepen 0'],
    ['a negative depth', ['command=fetch', '0001', 'deepen -1', '0000'], 'Invalid deepen: deepen -1'],
    ['a depth above 31 bits', ['command=fetch', '0001', 'deepen 2147483648', '0000'], 'Invalid deepen'],
    [
      'a time that is none',
      ['command=fetch', '0001', 'deepen-since now', '0000'],
      'Invalid deepen-since: deepen-since now',
    ],
    ['depth and time', ['command=fetch', '0001', 'deepen 1', 'deepen-since 1', '0000'], 'cannot be used together'],
    [
      'two filters',
      ['command=fetch', '0001', 'filter blob:none', 'filter tree:0', '0000'],
      'multiple filter-specs cannot be combined',
    ],
  ])('refuses %s', (_, lines, message) => {
    expect(() => parseV2Command(bodyOf(...lines))).toThrow(message);
  });
});

describe('v0 fetch', () => {
  it('clone, the first of two POSTs of a shallow one, and what the features mean', () => {
    const detailed = `want ${A} multi_ack_detailed no-done side-band-64k thin-pack include-tag ofs-delta deepen-since agent=git/X`;
    expect(v0Of(1, detailed, '0000', 'done')).toMatchObject({
      version: 1,
      wants: [A],
      done: true,
      haveEnd: 'done',
      ackMode: 'multi_ack_detailed',
      noDone: true,
      sideBand: 'side-band-64k',
      thinPack: true,
      includeTag: true,
      ofsDelta: true,
      noProgress: false,
      agent: 'git/X',
    });
    expect(v0Of(0, detailed, 'deepen 1', '0000')).toMatchObject({
      haveEnd: 'eof',
      done: false,
      deepen: { kind: 'depth', depth: 1 },
    });
    expect(v0Of(0, `want ${A}`, '0000', 'done')).toMatchObject({ ackMode: 'single', sideBand: 'none', noDone: false });
    expect(v0Of(0, `want ${A} multi_ack side-band`, '0000', 'done')).toMatchObject({
      ackMode: 'multi_ack',
      sideBand: 'side-band',
    });
    expect(v0Of(0, `want ${A} deepen-relative`, 'deepen 2', '0000', 'done').deepen).toEqual({
      kind: 'depth',
      depth: 2,
      relative: true,
    });
  });

  it('reads haves as far as git does', () => {
    const request = v0Of(0, `want ${A}`, '0000', `have ${B}`, '0000', `have ${C}`, 'done');
    expect(request).toMatchObject({ haves: [B], haveEnd: 'flush', done: false });
  });

  it.each<[string, readonly string[], string]>([
    ['a first line that is no want', ['hello', '0000'], "expected to get object ID, not 'hello'"],
    ['a short want', ['want 12', '0000'], "expected to get object ID, not 'want 12'"],
    ['features glued to the name', [`want ${A}thin-pack`, '0000'], 'expected to get object ID'],
    ['a filter nobody agreed to', [`want ${A}`, 'filter blob:none', '0000'], 'filtering capability not negotiated'],
    ['wants without an end', [`want ${A}`], 'the remote end hung up unexpectedly'],
    ['haves without an end', [`want ${A}`, '0000', `have ${B}`], 'the remote end hung up unexpectedly'],
    ['a bad have', [`want ${A}`, '0000', 'have x', 'done'], "expected SHA1 object, got 'x'"],
    ['another line among haves', [`want ${A}`, '0000', 'want x', 'done'], "expected SHA1 list, got 'want x'"],
  ])('refuses %s', (_, lines, message) => {
    expect(() => parseV0Fetch(bodyOf(...lines), 0)).toThrow(message);
  });
});

describe('filter', () => {
  it.each([
    ['blob:none', { kind: 'blob-none' }],
    ['blob:limit=0', { kind: 'blob-limit', bytes: 0 }],
    ['blob:limit=2M', { kind: 'blob-limit', bytes: 2097152 }],
    ['blob:limit=9999999999999999999', { kind: 'blob-limit', bytes: Number.MAX_SAFE_INTEGER }],
    ['tree:2', { kind: 'tree', depth: 2 }],
    ['object:type=tag', { kind: 'object-type', type: 'tag' }],
    [`sparse:oid=${A}`, { kind: 'sparse-oid', oid: A }],
    ['combine:blob:none', { kind: 'combine', parts: [{ kind: 'blob-none' }] }],
    ['combine:tree:1+blob%3anone', { kind: 'combine', parts: [{ kind: 'tree', depth: 1 }, { kind: 'blob-none' }] }],
    [
      'combine:combine:tree:1%2Bblob:none+tree:2',
      {
        kind: 'combine',
        parts: [
          { kind: 'combine', parts: [{ kind: 'tree', depth: 1 }, { kind: 'blob-none' }] },
          { kind: 'tree', depth: 2 },
        ],
      },
    ],
  ])('%s', (text, filter) => {
    expect(parseFilter(text)).toEqual(filter);
  });

  it.each([
    '',
    'blob',
    'blob:',
    'blob:limit=',
    'blob:limit=-1',
    'blob:limit=1x',
    'tree:',
    'tree:x',
    'object:type=x',
    'sparse:path=x',
    'sparse:oid=main:spec',
    'combine:',
    'combine:blob:none+',
    'combine:blob:none+nope',
    'combine:tree:1+blob%3',
    'combine:blob:none ',
    'combine:'.repeat(5000),
    'auto',
  ])('%s is for upstream to judge', (text) => {
    expect(parseFilter(text)).toEqual({ kind: 'unsupported', text });
  });
});
