/**
 * An S3 server for tests: one bucket in memory, over HTTP, that takes only what Amazon takes: requests signed with the right
 * secret, with a length, parts of 5 MiB, conditions that hold. `calls` tells what was asked; faults come on demand.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { S3Error, S3Objects } from './s3-server/objects.ts';
import { carryOut, errorAnswer, nameOf, type S3Answer, type S3Call } from './s3-server/operations.ts';
import { refusalOf, type Credentials } from './s3-server/signature.ts';

export interface S3ServerOptions {
  /** What other credentials are refused for. Default: some. */
  readonly credentials?: Credentials;
  /** Default: 5 MiB, as Amazon has it. */
  readonly minPartBytes?: number;
}

/**
 * What goes wrong with a call. `unavailable`: 503, nothing happens. `reset`: the connection breaks before anything happens. `lost`: it
 * happens, and the connection breaks before the answer. `cut`: the answer breaks off in the middle of its body. `hang`: no answer.
 */
export type Fault = 'unavailable' | 'reset' | 'lost' | 'cut' | 'hang';

export interface S3Server {
  readonly endpoint: string;
  readonly bucket: string;
  readonly region: string;
  readonly credentials: Credentials;
  readonly store: S3Objects;
  /** `PutObject a/b`, in the order in which they came; refused ones, too. */
  readonly calls: string[];
  /** Looked at for each call, before it happens; may be set at any time. */
  fault: ((call: { readonly name: string; readonly key: string }) => Fault | undefined) | undefined;
  /** Each answer waits that long, milliseconds. */
  delayMs: number;
  /** What hotpack is told of it. */
  env(prefix?: string): Record<string, string>;
  stop(): Promise<void>;
}

const BUCKET = 'test-bucket';
const REGION = 'eu-test-1';

export async function startS3Server(options: S3ServerOptions = {}): Promise<S3Server> {
  const credentials = options.credentials ?? { accessKeyId: 'AKTEST', secretAccessKey: 'secret/of+the=tests' };
  const store = new S3Objects(options.minPartBytes ?? 5 * 1024 * 1024);
  const http = createServer((request, response) => {
    void serve(request, response).catch(() => response.destroy());
  });

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const call = parseCall(request, Buffer.concat(chunks));
    const name = nameOf(call);
    server.calls.push(`${name} ${call.key}`.trim());
    const fault = server.fault?.({ name, key: call.key });
    if (server.delayMs > 0) await sleep(server.delayMs);
    if (fault === 'hang') return;
    if (fault === 'reset') return void request.socket.destroy();
    const answer = fault === 'unavailable' ? errorAnswer(503, 'SlowDown') : answerTo(request, call);
    if (fault === 'lost') return void request.socket.destroy();
    send(response, call, answer, fault === 'cut');
  }

  function answerTo(request: IncomingMessage, call: S3Call): S3Answer {
    const refusal = refusalOf(request, call.body, { ...credentials, region: REGION });
    if (refusal !== undefined) return errorAnswer(refusal === 'XAmzContentSHA256Mismatch' ? 400 : 403, refusal);
    if (call.bucket !== BUCKET) return errorAnswer(404, 'NoSuchBucket');
    const needsLength = call.method === 'PUT' && call.headers['content-length'] === undefined;
    if (needsLength) return errorAnswer(411, 'MissingContentLength');
    try {
      return carryOut(store, call);
    } catch (error) {
      if (error instanceof S3Error) return errorAnswer(error.status, error.code);
      throw error;
    }
  }

  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  const endpoint = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  const server: S3Server = {
    endpoint,
    bucket: BUCKET,
    region: REGION,
    credentials,
    store,
    calls: [],
    fault: undefined,
    delayMs: 0,
    env: (prefix) => ({
      HOTPACK_STORAGE: `s3://${BUCKET}${prefix === undefined ? '' : `/${prefix}`}`,
      AWS_ENDPOINT_URL_S3: endpoint,
      AWS_REGION: REGION,
      AWS_ACCESS_KEY_ID: credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
      ...(credentials.sessionToken === undefined ? {} : { AWS_SESSION_TOKEN: credentials.sessionToken }),
    }),
    stop: () =>
      new Promise((resolve) => {
        http.close(() => resolve());
        http.closeAllConnections();
      }),
  };
  return server;
}

function parseCall(request: IncomingMessage, body: Buffer): S3Call {
  const [path = '/', query = ''] = (request.url ?? '/').split('?');
  const [, bucket = '', ...segments] = path.split('/');
  return {
    method: request.method ?? 'GET',
    bucket,
    key: decodeURIComponent(segments.join('/')),
    query: new URLSearchParams(query),
    headers: request.headers,
    body,
  };
}

function send(response: ServerResponse, call: S3Call, answer: S3Answer, isCut: boolean): void {
  const body = Buffer.from(answer.body ?? '');
  response.writeHead(answer.status, {
    ...answer.headers,
    ...(answer.status === 204 ? {} : { 'content-length': body.length }),
  });
  if (call.method === 'HEAD') return void response.end();
  if (!isCut) return void response.end(body);
  response.write(body.subarray(0, Math.floor(body.length / 2)), () => response.destroy());
}
