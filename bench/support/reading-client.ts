/**
 * Child process: a client that only reads. argv: repository URL, `full` or `depth-1`, and a file to keep the pack in or
 * nothing. Speaks protocol v2: asks for refs, then fetches with no haves. Prints one JSON line: wall time of the fetch,
 * bytes of its answer, objects that the pack declares.
 */
import { createWriteStream } from 'node:fs';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:http';

const DELIMITER = '0001';
const FLUSH = '0000';
const [url, shape, keepAt] = process.argv.slice(2) as [string, 'full' | 'depth-1', string | undefined];

const wants = parseRefs(await readAll(await post(['command=ls-refs', DELIMITER, 'peel', 'symrefs', FLUSH])));
const lines = ['command=fetch', DELIMITER, 'ofs-delta', 'no-progress', ...wants.map((oid) => `want ${oid}`)];
if (shape === 'depth-1') lines.push('deepen 1');
const startedAtMs = performance.now();
const answer = await post([...lines, 'done', FLUSH]);
const read = await readPack(answer);
console.log(JSON.stringify({ ms: performance.now() - startedAtMs, ...read }));

/** Every ref for a clone; HEAD alone for a checkout. */
function parseRefs(answerText: Buffer): string[] {
  const found = [...answerText.toString('latin1').matchAll(/([0-9a-f]{40}) (HEAD|refs\/\S+)/g)];
  const head = found.filter(([, , name]) => shape === 'full' || name === 'HEAD');
  return [...new Set((head.length > 0 ? head : found.slice(0, 1)).map(([, oid]) => oid as string))];
}

async function post(body: readonly string[]): Promise<IncomingMessage> {
  const outgoing = request(`${url}/git-upload-pack`, {
    method: 'POST',
    headers: {
      'content-type': 'application/x-git-upload-pack-request',
      accept: 'application/x-git-upload-pack-result',
      'git-protocol': 'version=2',
    },
  });
  outgoing.end(
    body
      .map((line) =>
        line === FLUSH || line === DELIMITER ? line : (line.length + 5).toString(16).padStart(4, '0') + line + '\n',
      )
      .join(''),
  );
  const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage];
  if (incoming.statusCode !== 200) throw new Error(`${incoming.statusCode} from ${url}`);
  return incoming;
}

async function readAll(incoming: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const chunk of incoming as AsyncIterable<Buffer>) parts.push(chunk);
  return Buffer.concat(parts);
}

/** Cuts the side-band packets apart as they come; nothing of them is kept but what is asked for. */
async function readPack(incoming: IncomingMessage): Promise<{ bytes: number; objects: number }> {
  const keep = keepAt === undefined ? undefined : createWriteStream(keepAt);
  let bytes = 0;
  let packHead = Buffer.alloc(0);
  let ended = false;
  let head = Buffer.alloc(0); // of a packet: length and band
  let left = 0;
  let text: Buffer[] | undefined; // of a packet that is no pack data
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    for (let at = 0; at < chunk.length;) {
      if (left === 0) {
        const wanted = head.length < 4 ? 4 - head.length : 1;
        head = Buffer.concat([head, chunk.subarray(at, at + wanted)]);
        at += wanted;
        if (head.length < 4) continue;
        const length = Number.parseInt(head.toString('latin1', 0, 4), 16);
        if (length <= 4) {
          ended = length === 0;
          head = Buffer.alloc(0);
          continue;
        }
        if (head.length < 5) continue;
        left = length - 5;
        text = head[4] === 1 ? undefined : [head.subarray(4)];
        if (left === 0) head = Buffer.alloc(0);
        continue;
      }
      const piece = chunk.subarray(at, at + left);
      at += piece.length;
      left -= piece.length;
      if (text !== undefined) text.push(piece);
      else {
        if (packHead.length < 12) packHead = Buffer.concat([packHead, piece.subarray(0, 12 - packHead.length)]);
        if (keep !== undefined && !keep.write(piece)) await once(keep, 'drain');
      }
      if (left > 0) continue;
      head = Buffer.alloc(0);
      const line = text === undefined ? '' : Buffer.concat(text).toString('utf8');
      if (line.startsWith('\u0003') || line.startsWith('ERR ')) throw new Error(line);
    }
  }
  if (!ended || packHead.toString('latin1', 0, 4) !== 'PACK') throw new Error('an answer without a whole pack');
  keep?.end();
  if (keep !== undefined) await once(keep, 'finish');
  return { bytes, objects: packHead.readUInt32BE(8) };
}
