/**
 * Runs `git http-backend` (or another command that speaks HTTP's body on its standard streams) for one request.
 * The body goes in while the answer comes out; git itself takes gzip and chunked bodies apart.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import type { Readable } from 'node:stream';
import { gitEnvironment } from '../git.ts';

export interface CgiRequest {
  readonly projectRoot: string;
  readonly pathInfo: string;
  readonly query: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly user: string | undefined;
  readonly body: Buffer | Readable;
}

export interface CgiAnswer {
  readonly status: number;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: AsyncIterable<Buffer>;
  /** Ends git; for a client that left. */
  readonly kill: () => void;
}

function text(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(', ') : value;
}

function environment(request: CgiRequest): Record<string, string> {
  const variables: Record<string, string> = {
    ...gitEnvironment(),
    GIT_PROJECT_ROOT: request.projectRoot,
    GIT_HTTP_EXPORT_ALL: '1',
    PATH_INFO: request.pathInfo,
    QUERY_STRING: request.query,
    REQUEST_METHOD: request.method,
    REMOTE_ADDR: '127.0.0.1',
  };
  const pass: readonly (readonly [string, string])[] = [
    ['content-type', 'CONTENT_TYPE'],
    ['content-length', 'CONTENT_LENGTH'],
    ['content-encoding', 'HTTP_CONTENT_ENCODING'],
    ['git-protocol', 'GIT_PROTOCOL'],
    ['accept', 'HTTP_ACCEPT'],
    ['user-agent', 'HTTP_USER_AGENT'],
  ];
  for (const [header, name] of pass) {
    const value = text(request.headers[header]);
    if (value !== undefined) variables[name] = value;
  }
  if (Buffer.isBuffer(request.body)) variables['CONTENT_LENGTH'] = String(request.body.length);
  if (request.user !== undefined) variables['REMOTE_USER'] = request.user;
  return variables;
}

function feed(child: ChildProcess, body: Buffer | Readable): void {
  const stdin = child.stdin;
  if (stdin === null) return;
  stdin.on('error', () => undefined); // git may answer without reading to the end
  if (Buffer.isBuffer(body)) stdin.end(body);
  else body.pipe(stdin);
}

/** Starts git http-backend; resolves when its headers are complete. */
export async function runHttpBackend(request: CgiRequest): Promise<CgiAnswer> {
  const child = spawn('git', ['http-backend'], { env: environment(request), stdio: ['pipe', 'pipe', 'ignore'] });
  feed(child, request.body);
  const output = child.stdout[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  let head = Buffer.alloc(0);
  let end = -1;
  while (end < 0) {
    const next = await output.next();
    if (next.done === true) break;
    head = Buffer.concat([head, next.value]);
    end = head.indexOf('\r\n\r\n');
  }
  if (end < 0) throw new Error(`git http-backend gave no headers for ${request.pathInfo}`);
  const headers = head
    .toString('latin1', 0, end)
    .split('\r\n')
    .map((line): readonly [string, string] => [
      line.slice(0, line.indexOf(':')),
      line.slice(line.indexOf(':') + 1).trim(),
    ]);
  const status = headers.find(([name]) => name.toLowerCase() === 'status')?.[1];
  const first = head.subarray(end + 4);
  async function* body(): AsyncGenerator<Buffer> {
    if (first.length > 0) yield first;
    for (;;) {
      const next = await output.next();
      if (next.done === true) return;
      yield next.value;
    }
  }
  return {
    status: status === undefined ? 200 : Number.parseInt(status, 10),
    headers: headers.filter(([name]) => name.toLowerCase() !== 'status'),
    body: body(),
    kill: () => child.kill('SIGKILL'),
  };
}

/** `git upload-archive` over HTTP, which the http-backend of older gits does not offer. */
export function runUploadArchive(repositoryFolder: string, body: Buffer): CgiAnswer {
  const child = spawn('git', ['upload-archive', repositoryFolder], {
    env: gitEnvironment(),
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  feed(child, body);
  return {
    status: 200,
    headers: [['Content-Type', 'application/x-git-upload-archive-result']],
    body: child.stdout,
    kill: () => child.kill('SIGKILL'),
  };
}
