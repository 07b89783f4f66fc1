import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Oid } from '../../../src/bytes/oid.ts';
import type { FetchRequest, SideBand } from '../../../src/protocol/fetch-request.ts';
import { parseV0Fetch } from '../../../src/protocol/fetch/v0-request.ts';
import { writeV0Answer } from '../../../src/protocol/fetch/v0-answer.ts';
import { planV2Answer, writeV2Answer, type ShallowInfo } from '../../../src/protocol/fetch/v2-answer.ts';
import { V2AnswerParser, type V2AnswerEvent } from '../../../src/protocol/fetch/v2-answer-parser.ts';
import { parseV2Command } from '../../../src/protocol/v2-command.ts';
import { packetsOf } from '../../../src/protocol/pkt-line/body.ts';
import { lineFromBytes } from '../../../src/protocol/pkt-line/text.ts';
import { encodeBand, writeSideBandEnd, writeSideBandError } from '../../../src/protocol/side-band/frame.ts';
import { writeErrorPacket } from '../../../src/protocol/error-packet.ts';
import { bodyOf, GitRepository, textOf } from './git-server.ts';
import { cut, cuts } from './random-cuts.ts';

const NOTHING_MOVED: ShallowInfo = { shallow: [], unshallow: [] };
const repository = new GitRepository();
const commits: Oid[] = [];
const parents = new Map<Oid, readonly Oid[]>();
const dates = new Map<Oid, number>();

beforeAll(() => {
  for (const key of ['allowFilter', 'allowRefInWant', 'allowSidebandAll']) {
    repository.git('config', `uploadpack.${key}`, 'true');
  }
  for (let i = 0; i < 5; i++) repository.commit(`main ${i}`);
  repository.git('checkout', '-q', '-b', 'topic', 'HEAD~2');
  for (let i = 0; i < 2; i++) repository.commit(`topic ${i}`);
  for (const line of repository.git('log', '--all', '--format=%H %ct %P').split('\n')) {
    const [oid = '', date, ...above] = line.trim().split(' ');
    commits.push(oid);
    parents.set(oid, above);
    dates.set(oid, Number(date));
  }
});

afterAll(() => repository.remove());

/** git's ok_to_give_up, told from the graph: every want reaches something known, not looking below the oldest have. */
function ready(wants: readonly Oid[], haves: readonly Oid[], parentsOf = parentsIn([])): boolean {
  const common = haves.filter((have) => parents.has(have));
  if (common.length === 0) return false;
  const known = new Set(common.flatMap((have) => [have, ...parentsOf(have)]));
  const oldest = Math.min(...common.map((have) => dates.get(have) as number));
  const recent = (oid: Oid): boolean => (dates.get(oid) as number) >= oldest;
  const reaches = (oid: Oid): boolean =>
    known.has(oid) || parentsOf(oid).some((above) => known.has(above) || (recent(above) && reaches(above)));
  return wants.every(reaches);
}

/** The graph as git sees it once it has told a client its boundary: nothing above that. */
function parentsIn(boundary: readonly Oid[]): (oid: Oid) => readonly Oid[] {
  return (oid) => (boundary.includes(oid) ? [] : (parents.get(oid) ?? []));
}

function readyAfter(request: FetchRequest, parentsOf: (oid: Oid) => readonly Oid[]): number | undefined {
  for (let count = 0; count <= request.haves.length; count++) {
    if (ready(request.wants, request.haves.slice(0, count), parentsOf)) return count;
  }
  return undefined;
}

const wants = fc.uniqueArray(fc.nat({ max: 6 }), { minLength: 1, maxLength: 2 });
/** Indexes of commits; -1 and -2 are names the server lacks. */
const haves = fc.array(fc.integer({ min: -2, max: 6 }), { maxLength: 5 });
const oidAt = (index: number): Oid => (index < 0 ? String(-index).repeat(40) : (commits[index] as Oid));

describe('v0 answers', () => {
  it('are what git writes, in every form', () => {
    const end = fc.constantFrom('done', '0000', 'eof');
    const features = fc.tuple(
      fc.constantFrom('', ' multi_ack', ' multi_ack_detailed'),
      fc.constantFrom('', ' no-done'),
      fc.constantFrom('', ' side-band', ' side-band-64k'),
    );
    const deepen = fc.constantFrom('', 'deepen 1', 'deepen 3');
    fc.assert(
      fc.property(fc.record({ wanted: wants, had: haves, ended: end, chosen: features, deeper: deepen }), (asked) => {
        const { wanted, had, ended, chosen, deeper } = asked;
        const body = bodyOf(
          ...wanted.map((index, at) => `want ${oidAt(index)}${at === 0 ? ` ${chosen.join('')} no-progress` : ''}`),
          ...(deeper === '' ? [] : [deeper]),
          '0000',
          ...(ended === 'eof' ? [] : [...had.map((index) => `have ${oidAt(index)}`), ended]),
        );
        const parsed = parseV0Fetch(body, 0);
        if (parsed.kind !== 'fetch') throw new Error(parsed.kind);
        const theirs = repository.uploadPack(0, body);
        const info = shallowLinesOf(theirs, deeper !== '');
        const parentsOf = parentsIn(info.shallow);
        const negotiation = {
          isCommon: (have: Oid) => parents.has(have),
          readyAfterHaves: readyAfter(parsed.request, parentsOf),
          parentsOf,
        };
        const answer = writeV0Answer(parsed.request, negotiation, info);
        const before = theirs.subarray(0, answer.bytes.length);
        const rest = textOf(theirs.subarray(answer.bytes.length));
        expect(textOf(before)).toBe(textOf(answer.bytes));
        expect(packIn(rest, parsed.request.sideBand)).toBe(answer.packFollows ? 'pack' : 'nothing');
      }),
      {
        numRuns: 120,
        examples: [
          // Ready is said of a have that is not here, and the pack follows without `done`.
          [
            {
              wanted: [0],
              had: [0, -1],
              ended: '0000',
              chosen: [' multi_ack_detailed', ' no-done', ' side-band-64k'],
              deeper: '',
            },
          ],
          // A missing have before: no ready at the flush.
          [{ wanted: [0], had: [-1, 0], ended: '0000', chosen: [' multi_ack_detailed', ' no-done', ''], deeper: '' }],
          // The parent of a common commit is acknowledged once more in the single form.
          [{ wanted: [0], had: [0, 1, 6], ended: 'done', chosen: ['', '', ''], deeper: '' }],
        ],
      },
    );
  });
});

/** What follows the acknowledgments. */
function packIn(rest: string, sideBand: SideBand): 'nothing' | 'pack' | 'other' {
  if (rest === '') return 'nothing';
  if (sideBand === 'none') return rest.startsWith('PACK') ? 'pack' : 'other';
  return rest.slice(4, 9) === '\u0001PACK' && rest.endsWith('0000') ? 'pack' : 'other';
}

/** What git wrote before its first flush, as the repository would tell it. */
function shallowLinesOf(body: Uint8Array, deepened: boolean): ShallowInfo {
  const shallow: Oid[] = [];
  if (!deepened) return NOTHING_MOVED;
  for (const packet of packetsOf(body)) {
    if (packet.kind !== 'data') break;
    shallow.push(lineFromBytes(packet.payload).replace('shallow ', ''));
  }
  return { shallow, unshallow: [] };
}

function read(chunks: readonly Uint8Array[], sidebandAll = false): { events: V2AnswerEvent[]; end: string } {
  const parser = new V2AnswerParser({ sidebandAll });
  const events: V2AnswerEvent[] = [];
  for (const chunk of chunks) {
    parser.push(chunk);
    for (let event = parser.next(); event.kind !== 'need-more'; event = parser.next()) {
      const last = events.at(-1);
      if (event.kind === 'pack' && last?.kind === 'pack') {
        const bytes = Uint8Array.from(Buffer.concat([last.bytes, event.bytes]));
        events[events.length - 1] = { kind: 'pack', bytes };
      } else {
        events.push(event);
      }
    }
  }
  return { events, end: parser.finish() };
}

describe('v2 answers', () => {
  it('are what git writes, and are read again', () => {
    const lines = fc.constantFrom([], ['done'], ['wait-for-done'], ['wait-for-done', 'done']);
    const shallowness = fc.constantFrom([], ['deepen 1'], ['deepen 2'], ['shallow'], ['shallow', 'deepen 3']);
    const framing = fc.constantFrom([], ['sideband-all']);
    fc.assert(
      fc.property(
        fc.record({ wanted: wants, had: haves, flags: lines, shallows: shallowness, all: framing, places: cuts }),
        (asked) => {
          const { wanted, had, flags, shallows, all, places } = asked;
          const body = bodyOf(
            'command=fetch',
            '0001',
            'no-progress',
            ...all,
            ...flags,
            ...shallows.map((line) => (line === 'shallow' ? `shallow ${oidAt(0)}` : line)),
            ...wanted.map((index) => `want ${oidAt(index)}`),
            ...had.map((index) => `have ${oidAt(index)}`),
            '0000',
          );
          const command = parseV2Command(body);
          if (command.kind !== 'fetch') throw new Error(command.kind);
          const { request } = command;
          const theirs = repository.uploadPack(2, body);
          const { events, end } = read(cut(theirs, places), request.sidebandAll);
          expect(end).toBe('complete');
          expect(events.at(-1)?.kind).toBe('end');

          const info = events.find((event) => event.kind === 'shallow-info');
          const plan = planV2Answer(request, {
            common: request.haves.filter((have) => parents.has(have)),
            ready: ready(request.wants, request.haves),
          });
          const ours = writeV2Answer(plan, request, {
            shallowInfo: info?.kind === 'shallow-info' ? info : NOTHING_MOVED,
            wantedRefs: [],
          });
          expect(textOf(theirs.subarray(0, ours.length))).toBe(textOf(ours));
          const pack = events.find((event) => event.kind === 'pack');
          expect(pack !== undefined).toBe(plan.kind === 'pack');
          const start = pack?.kind === 'pack' ? textOf(pack.bytes.subarray(0, 4)) : theirs.length;
          expect(start).toBe(plan.kind === 'pack' ? 'PACK' : ours.length);
        },
      ),
      { numRuns: 80 },
    );
  });

  it('hold wanted refs and the words of an error', () => {
    const ask = (...lines: string[]): Uint8Array => bodyOf('command=fetch', '0001', 'no-progress', ...lines, '0000');
    const named = read([repository.uploadPack(2, ask('want-ref refs/heads/topic', 'done'))]).events;
    const oid = repository.git('rev-parse', 'topic');
    expect(named[0]).toEqual({ kind: 'wanted-refs', refs: [{ name: 'refs/heads/topic', oid }] });
    for (const all of [[], ['sideband-all']]) {
      const want = `want ${'1'.repeat(40)}`;
      const refused = read([repository.uploadPack(2, ask(...all, want, 'done'))], all.length > 0);
      const message = `upload-pack: not our ref ${'1'.repeat(40)}`;
      expect(refused).toEqual({ events: [{ kind: 'error', message }], end: 'complete' });
      const form = all.length > 0 ? 'sideband-all' : 'plain';
      expect(read([writeErrorPacket(message, form)], all.length > 0)).toEqual(refused);
    }
  });

  it('nothing wanted, nothing answered', () => {
    const body = bodyOf('command=fetch', '0001', 'done', '0000');
    const command = parseV2Command(body);
    if (command.kind !== 'fetch') throw new Error(command.kind);
    const plan = planV2Answer(command.request, { common: [], ready: false });
    expect(writeV2Answer(plan, command.request, { shallowInfo: NOTHING_MOVED, wantedRefs: [] }).length).toBe(0);
    expect(repository.uploadPack(2, body).length).toBe(0);
    expect(read([]).end).toBe('empty');
  });

  it('are known to be cut wherever they are', () => {
    const whole = Buffer.concat([
      bodyOf('packfile'),
      encodeBand(1, Uint8Array.of(1, 2, 3), 'side-band-64k'),
      writeSideBandEnd('side-band-64k'),
    ]);
    for (let length = 1; length < whole.length; length++) {
      expect(read([Uint8Array.from(whole.subarray(0, length))]).end).toBe('truncated');
    }
    expect(read([Uint8Array.from(whole)]).end).toBe('complete');
  });

  it('end in upstream’s words when it fails within the pack', () => {
    const wire = Buffer.concat([bodyOf('packfile'), writeSideBandError('fatal: out of memory\n', 'side-band-64k')]);
    expect(read([Uint8Array.from(wire)]).events.at(-1)).toEqual({ kind: 'error', message: 'fatal: out of memory' });
  });

  it('hand pack bytes on without a copy', () => {
    const pack = new Uint8Array(200_000);
    const wire = Uint8Array.from(
      Buffer.concat([bodyOf('packfile'), encodeBand(1, pack, 'side-band-64k'), writeSideBandEnd('side-band-64k')]),
    );
    const parser = new V2AnswerParser();
    let bytes = 0;
    for (let start = 0; start < wire.length; start += 16_384) {
      const chunk = wire.slice(start, start + 16_384);
      parser.push(chunk);
      for (let event = parser.next(); event.kind !== 'need-more'; event = parser.next()) {
        if (event.kind !== 'pack') continue;
        expect(event.bytes.buffer).toBe(chunk.buffer);
        bytes += event.bytes.length;
      }
    }
    expect(bytes).toBe(pack.length);
  });

  it.each([
    ['an unknown acknowledgment', bodyOf('acknowledgments', 'MAYBE', '0000'), 'unexpected acknowledgment'],
    ['a short name', bodyOf('acknowledgments', 'ACK 11', '0000'), 'expected an object name'],
    ['an unknown boundary line', bodyOf('shallow-info', 'deep', '0001'), 'unexpected shallow-info line'],
    ['a nameless wanted ref', bodyOf('wanted-refs', '1'.repeat(40), '0001'), 'unexpected wanted-ref'],
    ['a delimiter without a section', bodyOf('0001'), 'unexpected delim'],
    ['a delimiter within the pack', bodyOf('packfile', '0001'), 'unexpected delim'],
    ['a page', new TextEncoder().encode('<html>'), 'bad line length character'],
  ])('refuse %s', (_, body, message) => {
    expect(() => read([body])).toThrow(message);
  });

  it('keep sections nobody knows, and bound them', () => {
    const body = bodyOf('novelties', 'a', 'b', '0001', 'packfile', '0000');
    expect(read([body]).events[0]).toEqual({ kind: 'section', name: 'novelties', lines: ['a', 'b'] });
    const parser = new V2AnswerParser({ maxSectionLines: 1 });
    parser.push(body);
    expect(() => parser.next()).toThrow('too many lines in novelties');
  });
});
