/**
 * A fetch as a v2 request, whatever version the client spoke: hotpack's own fetches, and the passing through of a
 * client's. Lines stand in the order of git's client. What only frames a v0/v1 answer (side-band, acknowledgment
 * mode) has no place in v2 and is the business of whoever writes that answer.
 */
import type { FetchRequest } from '../fetch-request.ts';
import { PktLineWriter } from '../pkt-line/writer.ts';
import { writeCommandHead, type UpstreamPeer } from '../request-head.ts';

/** The request's own server options are sent unless `peer` has others. `sideband-all` is for the caller to ask for. */
export function writeFetch(request: FetchRequest, peer: UpstreamPeer): Uint8Array {
  const writer = new PktLineWriter();
  writeCommandHead(writer, 'fetch', { serverOptions: request.serverOptions, ...peer });
  if (request.thinPack) writer.line('thin-pack');
  if (request.noProgress) writer.line('no-progress');
  if (request.includeTag) writer.line('include-tag');
  if (request.ofsDelta) writer.line('ofs-delta');
  if (request.sidebandAll) writer.line('sideband-all');
  for (const oid of request.shallows) writer.line(`shallow ${oid}`);
  writeDeepen(request, writer);
  if (request.filterText !== undefined) writer.line(`filter ${request.filterText}`);
  if (request.packfileUris.length > 0) {
    writer.line(`packfile-uris ${request.packfileUris.join(',')}`);
  }
  for (const oid of request.wants) writer.line(`want ${oid}`);
  for (const name of request.wantRefs) writer.line(`want-ref ${name}`);
  if (request.waitForDone) writer.line('wait-for-done');
  for (const oid of request.haves) writer.line(`have ${oid}`);
  if (request.done) writer.line('done');
  return writer.flush().bytes();
}

function writeDeepen({ deepen }: FetchRequest, writer: PktLineWriter): void {
  switch (deepen.kind) {
    case 'none':
      return;
    case 'depth':
      writer.line(`deepen ${deepen.depth}`);
      if (deepen.relative) writer.line('deepen-relative');
      return;
    case 'revs':
      if (deepen.sinceSeconds !== undefined) writer.line(`deepen-since ${deepen.sinceSeconds}`);
      for (const name of deepen.notRefs) writer.line(`deepen-not ${name}`);
  }
}
