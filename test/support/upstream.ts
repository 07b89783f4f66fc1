/**
 * A small Git host for tests: real `git http-backend` over bare repositories in a temporary folder. A URL is
 * `<base>/<host>/<path>[.git]/…`; each first segment is a "host" that hotpack knows as one upstream. Everything that
 * arrives is written to a journal; rules make the host refuse, hold, cut, redirect or spoil.
 */
import { cpSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { temporaryFolder } from './git.ts';
import { runHttpBackend, runUploadArchive, type CgiAnswer } from './upstream/cgi.ts';
import { Journal, type JournalEntry } from './upstream/journal.ts';
import { Rule, type Action, type RuleMatch } from './upstream/rules.ts';

const SERVICES = [
  'info/refs',
  'git-upload-pack',
  'git-receive-pack',
  'git-upload-archive',
  'HEAD',
  'objects/',
  'info/',
  'lfs/',
];

interface Target {
  readonly repository: string;
  readonly file: string;
}

function parseTarget(pathname: string): Target | undefined {
  const places = SERVICES.map((service) => pathname.indexOf(`/${service}`, 1)).filter((at) => at > 0);
  const at = Math.min(...places);
  if (places.length > 0) {
    const repository = decodeURIComponent(pathname.slice(1, at)).replace(/\.git$/, '');
    return { repository, file: pathname.slice(at + 1) };
  }
  return undefined;
}

/** Yields in pieces, at a pace, as the rule says; true when the whole body went out. */
async function send(
  response: ServerResponse,
  entry: JournalEntry,
  rule: Rule | undefined,
  answer: AsyncIterable<Buffer>,
): Promise<boolean> {
  const action = rule?.action;
  let tail = Buffer.alloc(0);
  async function write(chunk: Buffer): Promise<boolean> {
    if (entry.objects === undefined) {
      tail = Buffer.concat([tail, chunk]);
      const at = tail.indexOf('PACK\0\0\0\x02', 0, 'latin1');
      if (at >= 0 && tail.length >= at + 12) entry.objects = tail.readUInt32BE(at + 8);
      else tail = at >= 0 ? tail.subarray(at) : tail.subarray(-11);
    }
    entry.answerBytes += chunk.length;
    if (response.destroyed) return false;
    if (response.write(chunk)) return true;
    await new Promise<void>((resolve) => {
      const go = (): void => {
        response.off('drain', go);
        response.off('close', go);
        resolve();
      };
      response.on('drain', go);
      response.on('close', go);
    });
    return !response.destroyed;
  }
  for await (const chunk of answer) {
    let rest = chunk;
    while (rest.length > 0) {
      let length = rest.length;
      if (action?.do === 'trickle') {
        length = Math.min(length, action.bytes);
        await new Promise((resolve) => setTimeout(resolve, action.everyMs));
      }
      if (action?.do === 'cut') {
        const left = action.afterBytes - entry.answerBytes;
        if (left <= rest.length) {
          if (left > 0) await write(rest.subarray(0, left));
          response.socket?.end();
          response.destroy();
          return false;
        }
      }
      if (action?.do === 'stall') {
        const left = action.afterBytes - entry.answerBytes;
        if (left > 0) length = Math.min(length, left);
        else await rule?.released();
      }
      if (!(await write(rest.subarray(0, length)))) return false;
      rest = rest.subarray(length);
    }
  }
  return true;
}

async function readAll(chunks: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return Buffer.concat(parts);
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}

export class Upstream {
  readonly root: string = temporaryFolder('upstream');
  readonly journal: Journal = new Journal();
  private server: Server;
  private port = 0;
  private rules: Rule[] = [];
  private readonly credentials = new Map<string, Set<string>>();
  private readonly v0only = new Set<string>();
  private readonly aliases = new Map<string, string>();

  constructor() {
    this.server = this.create();
  }

  /** `http://127.0.0.1:PORT/<host>`, the base of one upstream. */
  base(host: string): string {
    return `http://127.0.0.1:${this.port}/${host}`;
  }

  /** The URL of `<host>/<path>`, for a client that asks it directly. */
  url(repository: string): string {
    return `http://127.0.0.1:${this.port}/${repository}.git`;
  }

  /** Where the bare repository lies. */
  folder(repository: string): string {
    return join(this.root, `${this.aliases.get(repository) ?? repository}.git`);
  }

  /** Copies a bare repository in under that name. */
  add(repository: string, bareFolder: string): string {
    const folder = this.folder(repository);
    mkdirSync(dirname(folder), { recursive: true });
    cpSync(bareFolder, folder, { recursive: true, verbatimSymlinks: true });
    return folder;
  }

  /** Serves an existing repository under another name too (a cold one, as seen from hotpack). */
  alias(name: string, repository: string): void {
    this.aliases.set(name, this.aliases.get(repository) ?? repository);
  }

  /** From now on only these `Authorization` values may read and write; without one: 401 with a challenge. */
  protect(repository: string, ...authorizations: string[]): void {
    this.credentials.set(repository, new Set(authorizations));
  }

  revoke(repository: string, authorization: string): void {
    this.credentials.get(repository)?.delete(authorization);
  }

  unprotect(repository: string): void {
    this.credentials.delete(repository);
  }

  /** Answers that repository as a host that knows no protocol v2. */
  withoutV2(repository: string): void {
    this.v0only.add(repository);
  }

  when(match: RuleMatch, action: Action, turns: number = Number.POSITIVE_INFINITY): Rule {
    const rule = new Rule(match, action, turns);
    this.rules.push(rule);
    return rule;
  }

  /** Every fetch of that repository (or any) answers 500 and shows in `hits`, which a test expects to be empty. */
  forbidFetch(repository?: string): Rule {
    const match: RuleMatch = repository === undefined ? { kind: 'fetch' } : { kind: 'fetch', repository };
    return this.when(match, { do: 'status', status: 500, body: 'this test allows no fetch' });
  }

  clearRules(): void {
    for (const rule of this.rules) rule.remove();
    this.rules = [];
  }

  async start(): Promise<this> {
    await new Promise<void>((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(this.port, '127.0.0.1', () => resolve());
    });
    this.port = (this.server.address() as AddressInfo).port;
    return this;
  }

  /** Refuses connections until `start` is called again; the port stays the same. */
  async stop(): Promise<void> {
    for (const rule of this.rules) rule.release();
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    this.server.closeAllConnections();
    await closed;
    this.server = this.create();
  }

  private create(): Server {
    const server = createServer({ requestTimeout: 0 }, (request, response) => {
      void this.serve(request, response).catch(() => response.destroy());
    });
    server.keepAliveTimeout = 2_000;
    return server;
  }

  private async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://upstream');
    const target = parseTarget(url.pathname) ?? { repository: url.pathname.slice(1), file: '' };
    const streamed = target.file === 'git-receive-pack';
    const body = streamed ? Buffer.alloc(0) : await readAll(request);
    const entry = this.journal.add({
      ...target,
      method: request.method ?? '',
      url: request.url ?? '',
      service: url.searchParams.get('service') ?? undefined,
      headers: request.headers,
      body,
    });
    response.on('close', () => {
      entry.state = response.writableFinished ? 'done' : 'cut';
      this.journal.changed();
    });
    const head = (status: number, headers: readonly (readonly [string, string])[]): void => {
      entry.status = status;
      response.writeHead(status, headers.flat());
    };
    const allowed = this.credentials.get(target.repository);
    if (allowed !== undefined && !allowed.has(entry.authorization ?? '')) {
      head(401, [
        ['WWW-Authenticate', 'Basic realm="upstream"'],
        ['Content-Type', 'text/plain'],
      ]);
      response.end('credentials, please\n');
      return;
    }
    const rule = this.rules.find((one) => one.fits(entry));
    rule?.take(entry);
    const action = rule?.action;
    if (action?.do === 'status') {
      head(action.status, [['Content-Type', 'text/plain'], ...Object.entries(action.headers ?? {})]);
      response.end(action.body ?? `${action.status}\n`);
      return;
    }
    if (action?.do === 'redirect') {
      const to = action.to.startsWith('http') ? action.to : `http://127.0.0.1:${this.port}${action.to}`;
      head(action.status, [['Location', `${to}/${target.file}${url.search}`]]);
      response.end();
      return;
    }
    if (action?.do === 'hold' && action.stage === 'request') await rule?.released();
    if (response.destroyed) return;
    if (entry.kind === 'lfs') {
      head(200, [['Content-Type', 'application/vnd.git-lfs+json']]);
      response.end(JSON.stringify({ method: entry.method, url: entry.url, body: body.toString('utf8') }));
      return;
    }
    const answer = await this.answer(request, target, streamed ? undefined : body, entry);
    response.on('close', () => answer.kill());
    let out: AsyncIterable<Buffer> = answer.body;
    if (action?.do === 'spoil') out = once(action.spoil(await readAll(answer.body)));
    if (action?.do === 'hold' && action.stage === 'answer') {
      const bytes = await readAll(answer.body);
      await rule?.released();
      out = once(bytes);
    }
    if (response.destroyed) return;
    head(answer.status, answer.headers);
    if (await send(response, entry, rule, out)) response.end();
  }

  private answer(
    request: IncomingMessage,
    target: Target,
    body: Buffer | undefined,
    entry: JournalEntry,
  ): Promise<CgiAnswer> {
    const folder = this.folder(target.repository);
    if (entry.kind === 'archive' && body !== undefined && existsSync(folder)) {
      return Promise.resolve(runUploadArchive(folder, body));
    }
    const headers = { ...request.headers };
    if (this.v0only.has(target.repository)) delete headers['git-protocol'];
    return runHttpBackend({
      projectRoot: this.root,
      pathInfo: `/${this.aliases.get(target.repository) ?? target.repository}.git/${target.file}`,
      query: entry.url.split('?')[1] ?? '',
      method: request.method ?? 'GET',
      headers,
      user: entry.kind === 'push' || entry.kind === 'push-advertisement' ? 'pusher' : undefined,
      body: body ?? request,
    });
  }
}

/** Starts an upstream; the caller stops it. */
export function startUpstream(): Promise<Upstream> {
  return new Upstream().start();
}

/** What a bare repository's HEAD file says, for tests that change it. */
export function readHead(folder: string): string {
  return readFileSync(join(folder, 'HEAD'), 'utf8').trim();
}
