/** The API of a running server, as the commands ask it. */
import { UsageError } from './usage-error.ts';

const DEFAULT_SERVER = 'http://127.0.0.1:8080';

/** The server answered, and did not do it. */
export class ServerRefusal extends Error {
  readonly status: number;
  /** The server's own words. */
  readonly reason: string;

  constructor(server: string, status: number, reason: string) {
    super(`${server} answered ${status}: ${reason}`);
    this.status = status;
    this.reason = reason;
  }
}

/** `path` with its query, from `HOTPACK_SERVER` with `HOTPACK_ADMIN_TOKEN`. Throws `ServerRefusal` where it refuses. */
export async function askServer(path: string): Promise<unknown> {
  return (await requestServer(path, 'GET')).json().catch(() => undefined);
}

/** The same, as an answer that is still to be read. */
export async function requestServer(path: string, method: 'GET' | 'POST'): Promise<Response> {
  const server = process.env['HOTPACK_SERVER'] || DEFAULT_SERVER;
  if (!URL.canParse(server) || !/^https?:/.test(server)) throw new UsageError('HOTPACK_SERVER is an http or https URL');
  const token = process.env['HOTPACK_ADMIN_TOKEN'] ?? '';
  const headers: Record<string, string> = token === '' ? {} : { authorization: `Bearer ${token}` };
  let answer: Response;
  try {
    answer = await fetch(`${server.replace(/\/+$/, '')}${path}`, { method, headers });
  } catch (error) {
    throw new Error(`${server} gives no answer: is hotpack running, and HOTPACK_SERVER right?`, { cause: error });
  }
  if (!answer.ok) {
    const body: unknown = await answer.json().catch(() => undefined);
    throw new ServerRefusal(server, answer.status, messageOf(body));
  }
  return answer;
}

function messageOf(body: unknown): string {
  const { error } = (body ?? {}) as { readonly error?: { readonly message?: unknown } };
  return typeof error?.message === 'string' ? error.message : 'without a word';
}
