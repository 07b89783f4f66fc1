/**
 * What git's own client cannot be told to send: every acknowledgement mode and framing of v0 and v1, `wait-for-done`,
 * packs that must not be thin. Compared are the lines before the pack and the objects in it.
 */
import { body, DELIMITER, FLUSH } from '../../../support/pkt-lines.ts';
import { describePack, getRefs, objectsOfPack, postUploadPack, readFetchAnswer } from '../../../support/raw-client.ts';
import { revision } from '../../../support/repositories.ts';
import type { Client, Operation, Outcome } from '../operation.ts';

interface RawRow {
  readonly name: string;
  /** Capabilities of v0's first want; arguments of v2 before the wants. */
  readonly capabilities: readonly string[];
  readonly wants?: readonly string[];
  /** Revisions that the client says it has; `older:` stands before one of the older repository. */
  readonly haves?: readonly string[];
  /** Lines after the wants (`deepen 2`); revisions stand as `{main}`. */
  readonly extra?: readonly string[];
  readonly done?: boolean;
  /** Why it cannot be answered from the mirror alone. */
  readonly needsUpstream?: string;
}

async function ask(client: Client, row: RawRow, lines: readonly string[]): Promise<Outcome> {
  const resolve = (_: string, name: string): string =>
    name.startsWith('older:') ? revision(client.olderFolder, name.slice(6)) : client.revision(name);
  const resolved = lines.map((line) => line.replace(/\{(.+)\}/, resolve));
  await getRefs(client.remote, client.protocol);
  const answer = await postUploadPack(client.remote, client.protocol, body(resolved));
  const v0framing = client.protocol !== 2 && !row.capabilities.some((name) => name.startsWith('side-band'));
  const fetched = readFetchAnswer(answer.body, v0framing ? 'raw' : 'side-band');
  const thin = row.capabilities.includes('thin-pack');
  const outcome: Record<string, string | number | readonly string[]> = {
    status: answer.status,
    lines: inOrder(fetched.lines),
    error: fetched.error ?? '',
    progressWanted: row.capabilities.includes('no-progress') ? 'no' : 'yes',
    packet: fetched.largestPacket > 1000 ? 'large' : 'small',
  };
  if (row.capabilities.includes('no-progress') && fetched.progress.includes('objects:'))
    outcome['progressWanted'] = 'ignored';
  if (fetched.pack.length === 0) return outcome;
  const facts = describePack(fetched.pack);
  if (!row.capabilities.includes('ofs-delta')) outcome['ofsDeltas'] = facts.ofsDeltas;
  const held = thin ? client.olderFolder : undefined;
  const objects = await objectsOfPack(fetched.pack, held);
  // What completes a thin pack differs with the deltas that were chosen: count only what is new to the client.
  if (held === undefined) outcome['objects'] = objects;
  else {
    const known = new Set(
      (await client.git(['-C', held, 'cat-file', '--batch-all-objects', '--batch-check=%(objectname)'])).split('\n'),
    );
    outcome['objects'] = objects.filter((oid) => !known.has(oid));
  }
  return outcome;
}

/** Shallow and unshallow lines come in any order; all else as it came. */
function inOrder(lines: readonly string[]): string[] {
  const isShallow = (line: string): boolean => /^(un)?shallow /.test(line);
  return [...lines.filter(isShallow).sort(), ...lines.filter((line) => !isShallow(line))];
}

function wantsOf(row: RawRow): readonly string[] {
  return row.wants ?? ['main'];
}

function v0(row: RawRow): Operation {
  return {
    name: `v0 ${row.name}`,
    repository: 'rich',
    skip: (protocol) => (protocol === 2 ? 'a request of v0 and v1' : undefined),
    run: (client) => {
      const wants = wantsOf(row).map(
        (name, n) => `want {${name}}${n === 0 && row.capabilities.length > 0 ? ` ${row.capabilities.join(' ')}` : ''}`,
      );
      const haves = (row.haves ?? []).map((name) => `have {${name}}`);
      const end = row.done === false ? [FLUSH] : ['done'];
      return ask(client, row, [...wants, ...(row.extra ?? []), FLUSH, ...haves, ...end]);
    },
  };
}

function v2(row: RawRow): Operation {
  return {
    name: `v2 ${row.name}`,
    repository: 'rich',
    skip: (protocol, state) =>
      protocol === 2 ? (state === 'mirror' ? row.needsUpstream : undefined) : 'a request of v2',
    run: (client) => {
      const wants = wantsOf(row).map((name) => `want {${name}}`);
      const haves = (row.haves ?? []).map((name) => `have {${name}}`);
      const end = row.done === false ? [FLUSH] : ['done', FLUSH];
      return ask(client, row, [
        'command=fetch',
        'agent=raw/1',
        'object-format=sha1',
        DELIMITER,
        ...row.capabilities,
        ...(row.extra ?? []),
        ...wants,
        ...haves,
        ...end,
      ]);
    },
  };
}

const KNOWN = ['older:main', 'older:main~1', 'older:v1.0^{commit}'];
/** None is a parent of another: git acknowledges a parent twice where only one acknowledgement is due. */
const APART = ['older:main', 'older:v1.0^{commit}'];
const UNKNOWN = 'have 1234567890123456789012345678901234567890';

export const rawOperations: readonly Operation[] = [
  v0({ name: 'without any capability', capabilities: [] }),
  v0({ name: 'side-band', capabilities: ['side-band', 'no-progress'] }),
  v0({ name: 'side-band-64k', capabilities: ['side-band-64k', 'no-progress', 'ofs-delta'] }),
  v0({ name: 'side-band with progress', capabilities: ['side-band', 'ofs-delta'] }),
  v0({ name: 'haves without any capability', capabilities: [], haves: APART }),
  v0({ name: 'multi_ack', capabilities: ['multi_ack', 'side-band-64k', 'no-progress', 'ofs-delta'], haves: KNOWN }),
  v0({
    name: 'multi_ack, no end yet',
    capabilities: ['multi_ack', 'side-band-64k', 'no-progress'],
    haves: KNOWN,
    done: false,
  }),
  v0({
    name: 'multi_ack_detailed',
    capabilities: ['multi_ack_detailed', 'side-band-64k', 'no-progress'],
    haves: KNOWN,
  }),
  v0({
    name: 'multi_ack_detailed, no end yet',
    capabilities: ['multi_ack_detailed', 'side-band-64k', 'no-progress'],
    haves: KNOWN,
    done: false,
  }),
  v0({
    name: 'multi_ack_detailed no-done',
    capabilities: ['multi_ack_detailed', 'no-done', 'side-band-64k', 'no-progress'],
    haves: KNOWN,
    done: false,
  }),
  v0({
    name: 'multi_ack_detailed with a have nobody knows',
    capabilities: ['multi_ack_detailed', 'side-band-64k', 'no-progress'],
    extra: [],
    haves: ['older:main'],
    done: false,
  }),
  v0({
    name: 'no acknowledgement mode, no end yet',
    capabilities: ['side-band-64k', 'no-progress'],
    haves: APART,
    done: false,
  }),
  v0({
    name: 'thin-pack',
    capabilities: ['multi_ack_detailed', 'thin-pack', 'side-band-64k', 'no-progress', 'ofs-delta'],
    haves: KNOWN,
  }),
  v0({
    name: 'include-tag',
    capabilities: ['include-tag', 'side-band-64k', 'no-progress', 'ofs-delta'],
    wants: ['release/1.x'],
  }),
  v0({ name: 'deepen 2', capabilities: ['side-band-64k', 'no-progress', 'ofs-delta'], extra: ['deepen 2'] }),
  v0({
    name: 'deepen 2, first request',
    capabilities: ['side-band-64k', 'no-progress', 'ofs-delta'],
    extra: ['deepen 2'],
    done: false,
  }),
  v0({
    name: 'deepen-relative',
    capabilities: ['deepen-relative', 'side-band-64k', 'no-progress', 'ofs-delta'],
    extra: ['shallow {main~2}', 'deepen 3'],
    haves: ['main'],
  }),
  v0({
    name: 'deepen-since',
    capabilities: ['deepen-since', 'side-band-64k', 'no-progress', 'ofs-delta'],
    extra: ['deepen-since 1600012000'],
  }),
  v0({
    name: 'deepen-not',
    capabilities: ['deepen-not', 'side-band-64k', 'no-progress', 'ofs-delta'],
    extra: ['deepen-not refs/tags/v1.0'],
  }),
  v0({
    name: 'filter',
    capabilities: ['filter', 'side-band-64k', 'no-progress', 'ofs-delta'],
    extra: ['filter blob:none'],
  }),
  v2({ name: 'fetch with progress', capabilities: ['ofs-delta'] }),
  v2({ name: 'fetch without ofs-delta', capabilities: ['no-progress'] }),
  v2({ name: 'wait-for-done', capabilities: ['wait-for-done', 'no-progress', 'ofs-delta'], haves: KNOWN, done: false }),
  v2({ name: 'wait-for-done and done', capabilities: ['wait-for-done', 'no-progress', 'ofs-delta'], haves: KNOWN }),
  v2({ name: 'haves that end it', capabilities: ['no-progress', 'ofs-delta'], haves: KNOWN, done: false }),
  v2({ name: 'haves nobody knows', capabilities: ['no-progress', 'ofs-delta'], extra: [UNKNOWN], done: false }),
  v2({ name: 'haves nobody knows, done', capabilities: ['no-progress', 'ofs-delta'], extra: [UNKNOWN] }),
  v2({ name: 'thin-pack', capabilities: ['thin-pack', 'no-progress', 'ofs-delta'], haves: KNOWN }),
  v2({ name: 'no thin-pack', capabilities: ['no-progress', 'ofs-delta'], haves: KNOWN }),
  v2({ name: 'include-tag', capabilities: ['include-tag', 'no-progress', 'ofs-delta'], wants: ['release/1.x'] }),
  v2({
    name: 'deepen-relative',
    capabilities: ['no-progress', 'ofs-delta'],
    extra: ['shallow {main~2}', 'deepen 3', 'deepen-relative'],
    haves: ['main'],
  }),
  v2({
    name: 'shallow client without deepen',
    capabilities: ['no-progress', 'ofs-delta'],
    extra: ['shallow {older:main~2}'],
    haves: ['older:main'],
  }),
  v2({
    name: 'wants of a tree and a blob',
    capabilities: ['no-progress', 'ofs-delta'],
    wants: ['main^{tree}', 'main:README.md'],
  }),
  v2({
    name: 'a want that does not exist',
    needsUpstream: 'only upstream can say that it has no such object',
    capabilities: ['no-progress'],
    wants: [],
    extra: ['want 1234567890123456789012345678901234567890'],
  }),
];
