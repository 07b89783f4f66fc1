/** Which requests are clones, and what shape they have, from their bytes as clients send them. */
import { expect, test } from 'vitest';
import { isClone, type CloneFacts } from '../../../src/popularity/is-clone.ts';
import { requestShape } from '../../../src/popularity/request-shape.ts';
import type { FetchRequest } from '../../../src/protocol/fetch-request.ts';
import { parseV0Fetch } from '../../../src/protocol/fetch/v0-request.ts';
import { parseV2Command } from '../../../src/protocol/v2-command.ts';
import { body, DELIMITER, FLUSH } from '../../support/pkt-lines.ts';

const HEAD = 'a'.repeat(40);
const BRANCH = 'b'.repeat(40);
const COMMIT = 'c'.repeat(40);
const TAG = 'd'.repeat(40);
const BLOB = 'e'.repeat(40);
const TREE = 'f'.repeat(40);
const UNKNOWN = '1'.repeat(40);
const TYPES: Readonly<Record<string, ReturnType<CloneFacts['typeHere']>>> = {
  [COMMIT]: 'commit',
  [TAG]: 'tag',
  [BLOB]: 'blob',
  [TREE]: 'tree',
};
const isAdvertised = (oid: string): boolean => oid === HEAD || oid === BRANCH;
const warm: CloneFacts = { isAdvertised, typeHere: (oid) => TYPES[oid] };
const cold: CloneFacts = { isAdvertised: () => false, typeHere: () => undefined };

function v2(...lines: string[]): FetchRequest {
  const command = parseV2Command(body(['command=fetch', 'object-format=sha1', DELIMITER, ...lines, FLUSH]));
  if (command.kind !== 'fetch') throw new Error(`no fetch: ${command.kind}`);
  return command.request;
}

function v0(lines: readonly string[], version: 0 | 1 = 0): FetchRequest {
  const parsed = parseV0Fetch(body(lines), version);
  if (parsed.kind !== 'fetch') throw new Error('no fetch');
  return parsed.request;
}

const want = (oid: string): string => `want ${oid}`;
const first = (oid: string): string => `want ${oid} multi_ack_detailed side-band-64k ofs-delta filter`;

test.each<[string, FetchRequest, boolean, boolean, string]>([
  ['v2, everything', v2(want(HEAD), want(BRANCH), 'include-tag', 'done'), true, true, 'clone many tags'],
  ['v2, one branch', v2(want(HEAD), 'done'), true, true, 'clone head'],
  ['v2, another branch', v2(want(BRANCH), 'done'), true, true, 'clone ref'],
  ['v2, by ref name', v2('want-ref refs/heads/main', 'done'), true, true, 'clone ref'],
  [
    'v2, by ref name and blobless',
    v2('want-ref refs/heads/main', 'filter blob:none', 'done'),
    true,
    true,
    'clone ref filter=blob:none',
  ],
  ['v2, shallow', v2(want(HEAD), 'deepen 1', 'done'), true, true, 'clone head depth=1'],
  ['v2, since a date', v2(want(HEAD), 'deepen-since 1700000000', 'done'), true, true, 'clone head since'],
  ['v2, without a ref', v2(want(HEAD), 'deepen-not v1', 'done'), true, true, 'clone head not'],
  ['v2, one commit of CI', v2(want(UNKNOWN), 'deepen 1', 'done'), true, true, 'clone object depth=1'],
  [
    'v2, one commit of CI, blobless',
    v2(want(UNKNOWN), 'deepen 1', 'filter blob:none', 'done'),
    true,
    true,
    'clone object depth=1 filter=blob:none',
  ],
  [
    'v2, blobless',
    v2(want(HEAD), want(BRANCH), 'filter blob:none', 'done'),
    true,
    false,
    'clone many filter=blob:none',
  ],
  [
    'v2, blobless, a commit that is here',
    v2(want(COMMIT), 'filter blob:none', 'done'),
    true,
    false,
    'clone object filter=blob:none',
  ],
  [
    'v2, treeless, a tag that is here',
    v2(want(TAG), 'filter tree:0', 'done'),
    true,
    false,
    'clone object filter=tree:0',
  ],
  [
    'v2, lazy blobs',
    v2(want(BLOB), want(BLOB.replace('e', '2')), 'filter blob:none', 'done'),
    false,
    false,
    'clone many filter=blob:none',
  ],
  ['v2, a lazy tree', v2(want(TREE), 'filter tree:0', 'done'), false, false, 'clone object filter=tree:0'],
  [
    'v2, blobless, an object that nobody knows',
    v2(want(UNKNOWN), 'filter blob:none', 'done'),
    false,
    false,
    'clone object filter=blob:none',
  ],
  ['v2, incremental', v2(want(HEAD), `have ${COMMIT}`, 'done'), false, false, 'fetch head'],
  ['v2, negotiating', v2(want(HEAD), `have ${COMMIT}`), false, false, 'fetch head'],
  ['v2, no done yet', v2(want(HEAD)), false, false, 'boundary head'],
  [
    'v2, only sizes of blobs',
    v2(want(HEAD), 'filter blob:limit=1k', 'done'),
    true,
    false,
    'clone head filter=blob:limit=1024',
  ],
  ['v2, an unknown filter', v2(want(HEAD), 'filter future:7', 'done'), true, false, 'clone head filter=unsupported'],
  ['v0, everything', v0([first(HEAD), want(BRANCH), FLUSH, 'done']), true, true, 'clone many'],
  ['v1, everything', v0([first(HEAD), want(BRANCH), FLUSH, 'done'], 1), true, true, 'clone many'],
  ['v0, shallow, its first POST', v0([first(HEAD), 'deepen 1', FLUSH]), false, false, 'boundary head depth=1'],
  ['v0, shallow, its second POST', v0([first(HEAD), 'deepen 1', FLUSH, 'done']), true, true, 'clone head depth=1'],
  ['v0, blobless', v0([first(HEAD), 'filter blob:none', FLUSH, 'done']), true, false, 'clone head filter=blob:none'],
  [
    'v0, a lazy blob',
    v0([first(BLOB), 'filter blob:none', FLUSH, 'done']),
    false,
    false,
    'clone object filter=blob:none',
  ],
  ['v0, incremental', v0([first(HEAD), FLUSH, `have ${COMMIT}`, 'done']), false, false, 'fetch head'],
  [
    '1,500 wants before one have',
    v2(...Array.from({ length: 1_500 }, (_, n) => want(n.toString(16).padStart(40, '0'))), `have ${COMMIT}`, 'done'),
    false,
    false,
    'fetch many',
  ],
])('%s', (...row) => {
  const [, request, isWarmClone, isColdClone, shape] = row;
  expect({
    warm: isClone(request, warm),
    cold: isClone(request, cold),
    shape: requestShape(request, { isAdvertised, headOid: HEAD }),
  }).toEqual({ warm: isWarmClone, cold: isColdClone, shape });
});
