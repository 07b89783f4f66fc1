/** The arguments of v2 `fetch` (gitprotocol-v2, "fetch"). The writer is write-fetch.ts. */
import type { FetchRequest } from '../fetch-request.ts';
import { FetchArguments, malformed, parseOid } from './arguments.ts';

/** Arguments without a value. */
const FLAGS: ReadonlySet<string> = new Set([
  'thin-pack',
  'ofs-delta',
  'no-progress',
  'include-tag',
  'done',
  'wait-for-done',
  'deepen-relative',
  'sideband-all',
]);

/** `lines`: what stands behind the delimiter. Throws `malformed_request` with git's words. */
export function parseV2FetchArguments(
  lines: Iterable<string>,
  context: { readonly agent: string | undefined; readonly serverOptions: readonly string[] },
): FetchRequest {
  const collected = new FetchArguments();
  const flags = new Set<string>();
  const wantRefs = new Set<string>();
  const packfileUris: string[] = [];
  for (const line of lines) {
    if (line.startsWith('want ')) {
      const oid = parseOid(line.slice(5));
      if (oid === undefined) {
        throw malformed(`git upload-pack: protocol error, expected to get oid, not '${line}'`);
      }
      collected.want(oid);
    } else if (line.startsWith('want-ref ')) wantRefs.add(line.slice(9));
    else if (FLAGS.has(line)) flags.add(line);
    else if (line.startsWith('packfile-uris ')) packfileUris.push(...line.slice(14).split(','));
    else if (!collected.takeHave(line) && !collected.takeShallow(line) && !collected.takeFilter(line)) {
      throw malformed(`unexpected line: '${line}'`);
    }
  }
  collected.deepenRelative = flags.has('deepen-relative');
  const done = flags.has('done');
  return {
    version: 2,
    wants: collected.wants,
    wantRefs: [...wantRefs],
    haves: collected.haves,
    shallows: collected.shallows,
    deepen: collected.deepen,
    filter: collected.filter,
    filterText: collected.filterText,
    done,
    haveEnd: done ? 'done' : 'flush',
    waitForDone: flags.has('wait-for-done'),
    thinPack: flags.has('thin-pack'),
    ofsDelta: flags.has('ofs-delta'),
    includeTag: flags.has('include-tag'),
    noProgress: flags.has('no-progress'),
    sideBand: 'side-band-64k',
    sidebandAll: flags.has('sideband-all'),
    ackMode: 'multi_ack_detailed',
    noDone: true,
    agent: context.agent,
    serverOptions: context.serverOptions,
    packfileUris,
  };
}
