/** A scripted host on loopback: each test says what it answers; what arrived is kept. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createLogger } from '../../../src/telemetry/logger.ts';
import { createMetrics, type Metrics } from '../../../src/telemetry/metrics.ts';
import { createUpstream, type UpstreamOptions } from '../../../src/upstream/client.ts';
import type { Upstream } from '../../../src/upstream/contract.ts';
import { credentialOfToken } from '../../../src/upstream/credential.ts';
import { parseRepositoryPath, type Repository, type UpstreamConfig } from '../../../src/upstream/repository.ts';

export interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly rawHeaders: readonly string[];
  readonly body: string;
}

export type Answer = (seen: Seen, response: ServerResponse) => void | Promise<void>;

export class Host {
  readonly seen: Seen[] = [];
  answer: Answer = (_seen, response) => void response.writeHead(404).end('nothing\n');
  /** Answers before the body was read, where it returns true. */
  onRequest: (request: IncomingMessage, response: ServerResponse) => boolean = () => false;
  #server: Server | undefined;
  port = 0;

  async start(): Promise<this> {
    this.#server = createServer((request, response) => {
      if (!this.onRequest(request, response)) void this.#serve(request, response);
    });
    await new Promise<void>((resolve) => this.#server?.listen(this.port, '127.0.0.1', resolve));
    this.port = (this.#server.address() as AddressInfo).port;
    return this;
  }

  async stop(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    for await (const chunk of request) parts.push(chunk as Buffer);
    const { method = '', url = '', headers, rawHeaders } = request;
    const seen = { method, url, headers, rawHeaders, body: Buffer.concat(parts).toString('latin1') };
    this.seen.push(seen);
    await this.answer(seen, response);
  }

  get base(): string {
    return `http://127.0.0.1:${this.port}`;
  }
}

const line = (text: string): string => `${(text.length + 4).toString(16).padStart(4, '0')}${text}`;
const OID = '1'.repeat(40);

export const V2: string = `${line('version 2\n')}${line('agent=git/x\n')}${line('ls-refs=unborn\n')}${line('fetch=shallow filter\n')}${line('object-format=sha1\n')}0000`;
export const V0: string = `${line('# service=git-upload-pack\n')}0000${line(`${OID} HEAD\0multi_ack ofs-delta symref=HEAD:refs/heads/main agent=git/x\n`)}${line(`${OID} refs/heads/main\n`)}0000`;
export const REFS: string = `${line(`${OID} HEAD symref-target:refs/heads/main\n`)}${line(`${OID} refs/heads/main\n`)}0000`;

/** What a host with protocol v2 says to a GET of info/refs and a POST of ls-refs. */
export function gitAnswer(seen: Seen, response: ServerResponse): void {
  if (seen.method === 'POST') {
    response.writeHead(200, { 'content-type': 'application/x-git-upload-pack-result' }).end(REFS);
    return;
  }
  const v2 = seen.headers['git-protocol'] === 'version=2';
  response.writeHead(200, { 'content-type': 'application/x-git-upload-pack-advertisement' }).end(v2 ? V2 : V0);
}

export interface World {
  readonly host: Host;
  readonly upstream: Upstream;
  readonly upstreams: Map<string, UpstreamConfig>;
  readonly repository: Repository;
  readonly metrics: Metrics;
  /** Every log line, at debug level, without redaction by value. */
  readonly lines: string[];
  now: number;
}

export async function createWorld(options: UpstreamOptions & { readonly token?: string } = {}): Promise<World> {
  const host = await new Host().start();
  const { token } = options;
  const config: UpstreamConfig = {
    name: 'up',
    baseUrl: host.base,
    ignoresCase: false,
    ...(token === undefined ? {} : { token: credentialOfToken(token) }),
  };
  const upstreams = new Map([['up', config]]);
  const parsed = parseRepositoryPath('/git/up/a/b/info/refs', upstreams);
  if (parsed.kind !== 'repository') throw new Error('no repository');
  const lines: string[] = [];
  const metrics = createMetrics();
  const world = { host, upstreams, repository: parsed.repository, metrics, lines, now: 1_000_000 };
  const now = (): number => world.now;
  const logger = createLogger({ sink: (text) => lines.push(text), level: 'debug', now, secrets: [] });
  const upstream = createUpstream({ fetch, upstreams, now, metrics, logger }, options);
  return Object.assign(world, { upstream });
}
