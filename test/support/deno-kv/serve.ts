/**
 * What Deno runs for the tests of its key-value store: the driver over a real `Deno.Kv`, spoken to by lines of JSON, `{id, call, args}` on
 * standard input and `{id, result}` or `{id, error}` on standard output.
 */
import { isHotpackError } from '../../../src/bytes/error.ts';
import { openDenoKv, type DenoKv } from '../../../src/storage/drivers/deno-kv.ts';

declare const Deno: {
  readonly args: readonly string[];
  readonly stdin: { readonly readable: ReadableStream<Uint8Array> };
  readonly stdout: { readonly writable: WritableStream<Uint8Array> };
  openKv(path: string): Promise<DenoKv>;
};

export interface KvCall {
  readonly id: number;
  readonly call: 'get' | 'getMany' | 'set' | 'delete' | 'list' | 'close';
  readonly args: readonly unknown[];
  readonly isAborted: boolean;
}

const kv = openDenoKv(await Deno.openKv(Deno.args[0] ?? ':memory:'));
const output = Deno.stdout.writable.getWriter();
const encoder = new TextEncoder();

async function perform({ call, args, isAborted }: KvCall): Promise<unknown> {
  const [first, second] = args as [never, string];
  const signal = isAborted ? AbortSignal.abort() : undefined;
  if (call === 'set') return kv.set(first, second, signal);
  if (call !== 'list') return kv[call](first, signal);
  const keys: string[] = [];
  for await (const key of kv.list(first, signal)) keys.push(key);
  return keys;
}

async function answer(request: KvCall): Promise<void> {
  const answered = await perform(request).then(
    (result) => ({ id: request.id, result }),
    (error: Error) => {
      const known = isHotpackError(error) ? { code: error.code, detail: error.detail } : {};
      return { id: request.id, error: { ...known, message: `${error.message}: ${String(error.cause)}` } };
    },
  );
  await output.write(encoder.encode(`${JSON.stringify(answered)}\n`));
}

let rest = '';
for await (const chunk of Deno.stdin.readable.pipeThrough(new TextDecoderStream() as never)) {
  const lines = (rest + (chunk as unknown as string)).split('\n');
  rest = lines.pop() ?? '';
  for (const line of lines) void answer(JSON.parse(line) as KvCall);
}
