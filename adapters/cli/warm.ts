/** `hotpack warm <url>…`: has a running server clone or update its mirrors now. */
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import type { ReadableStream as NodeReadableStream } from 'node:stream/web';
import { defineCommand, type CommandDef } from 'citty';
import type { WarmedRepository } from '../../src/warm/contract.ts';
import { requestServer, ServerRefusal } from './server-api.ts';
import { UsageError } from './usage-error.ts';

const args = {
  url: {
    type: 'positional',
    description: 'Repositories: https://github.com/a/b, github.com/a/b, or a URL below /git/ of hotpack',
    required: true,
    valueHint: 'URL…',
  },
  json: { type: 'boolean', description: 'A line of JSON for each repository' },
} as const;

export const warm: CommandDef<typeof args> = defineCommand({
  meta: { name: 'warm', description: 'Fill or update mirrors of HOTPACK_SERVER now; fails where one of them does.' },
  args,
  async run({ args: given }) {
    const unknown = Object.keys(given).find((name) => !['_', 'url', 'json'].includes(name));
    if (unknown !== undefined) throw new UsageError(`unknown option --${unknown}`);
    const names = given._.map(nameOfUrl);
    let failed = 0;
    for (const name of names) {
      const result = await warmOne(name).catch(refusalOf(name));
      process.stdout.write(`${given.json ? JSON.stringify(result) : lineOf(result)}\n`);
      if (result.status !== 'ok' && result.status !== 'skipped') failed++;
    }
    if (failed > 0) throw new Error(`${failed} of ${names.length} could not be warmed`);
  },
});

/** What the server knows nothing of, and does not touch. */
type Refused = Pick<WarmedRepository, 'repo' | 'status' | 'error'>;

/** Keeps the next one from being warmed only where it would be refused too. */
function refusalOf(repo: string): (error: unknown) => Refused {
  return (error) => {
    if (error instanceof ServerRefusal && [400, 404].includes(error.status)) {
      return { repo, status: 'error', error: error.reason };
    }
    throw error;
  };
}

function lineOf(result: WarmedRepository | Refused): string {
  const { repo, status, error } = result;
  const how = 'path' in result ? `${result.path} ${status} ${result.ms} ms` : status;
  return `${repo}  ${how}${error === undefined ? '' : `: ${error}`}`;
}

/** `<upstream>/<path>`, as it stands in URLs. */
export function nameOfUrl(text: string): string {
  const [, withoutScheme] = /^https?:\/\/(?:[^/@]*@)?(.+)$/.exec(text) ?? [];
  const name = (withoutScheme ?? text)
    .replace(/^[^/]+\/git\//, withoutScheme === undefined ? '$&' : '')
    .replace(/\/+$/, '');
  if (!/^[^/\s?#]+(\/[^/\s?#]+)+$/.test(name)) throw new UsageError(`${text} is no repository's URL`);
  return name;
}

async function warmOne(name: string): Promise<WarmedRepository> {
  const path = name.split('/').map((segment) => encodeURIComponent(decodeURIComponent(segment)));
  const answer = await requestServer(`/api/v1/repos/${path.join('/')}/-/warm?wait=1`, 'POST');
  const body = Readable.fromWeb((answer.body ?? new ReadableStream()) as NodeReadableStream);
  const isTerminal = process.stderr.isTTY;
  for await (const text of createInterface({ input: body, crlfDelay: Infinity })) {
    const line = JSON.parse(text) as Partial<WarmedRepository> & { readonly bytes?: number; readonly waiting?: true };
    if (line.status !== undefined) {
      if (isTerminal) process.stderr.write('\r\u001b[K');
      return line as WarmedRepository;
    }
    if (isTerminal) {
      const word = line.waiting === true ? 'waits for another instance' : (line.path ?? '');
      const done = line.bytes === undefined ? word : `${(line.bytes / 2 ** 20).toFixed(1)} MiB`;
      process.stderr.write(`\r\u001b[K${name}  ${done}`);
    }
  }
  throw new Error(`the server broke off while it warmed ${name}`);
}
