/**
 * Child process: the limit. A bare `node:http` server that streams files and looks at nothing. argv: the file for GET, the file for
 * POST. Prints its URL, ends with SIGTERM.
 */
import { createReadStream, statSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Measured to cost least: half of what Node's own 64 KiB do. */
const CHUNK_BYTES = 512 * 1024;

const [forGet, forPost] = process.argv.slice(2) as [string, string];
process.once('SIGTERM', () => process.exit(0));
const server = createServer((request, response) => {
  const file = request.method === 'GET' ? forGet : forPost;
  request.resume().once('end', () => {
    response.writeHead(200, {
      'content-type': 'application/x-git-upload-pack-result',
      'content-length': statSync(file).size,
    });
    createReadStream(file, { highWaterMark: CHUNK_BYTES }).pipe(response);
  });
});
server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`));
