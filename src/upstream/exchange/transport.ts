/**
 * One HTTP request to an upstream: no redirect is followed, nothing is compressed (`fetch` of Node decodes an answer and
 * keeps the fields that say otherwise), one deadline holds from the first byte sent to the last one read, and a kept
 * connection that upstream closed before it answered costs one retry where the body can be sent again.
 */
import { abortError, createDeadline, type Deadline } from '../../bytes/abort.ts';
import { HotpackError, isHotpackError } from '../../bytes/error.ts';
import { openPieces } from '../../bytes/pieces.ts';

export type FetchFunction = (url: string, init: RequestInit) => Promise<Response>;

export interface TransportRequest {
  /** For errors: `ls-refs`. */
  readonly operation: string;
  readonly method: string;
  readonly url: string;
  readonly headers: Headers;
  readonly body?: ReadableStream<Uint8Array> | Uint8Array | null;
  /** For the whole operation, the body's last byte included. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

export type Sent =
  | {
      readonly kind: 'response';
      readonly response: Response;
      /** The response's body, counted and under the deadline. MUST be read to its end or cancelled. Null: it has none. */
      readonly body: ReadableStream<Uint8Array> | null;
    }
  | { readonly kind: 'failed'; readonly reason: 'network' | 'timeout'; readonly message: string };

export interface Transport {
  /** Rejects with `aborted` where the signal fires. */
  send(request: TransportRequest): Promise<Sent>;
}

export interface TransportOptions {
  readonly fetch: FetchFunction;
  /** Sent where the request names none. Hosts tell Git from browsers by an agent that begins with `git/`. */
  readonly userAgent: string;
  /** Told of every chunk of every answer. */
  readonly onBytes: (bytes: number) => void;
}

export function createTransport({ fetch, userAgent, onBytes }: TransportOptions): Transport {
  async function sendOnce(request: TransportRequest, deadline: Deadline): Promise<Response> {
    const headers = new Headers(request.headers);
    headers.set('accept-encoding', 'identity');
    if (!headers.has('user-agent')) headers.set('user-agent', userAgent);
    const body = request.body ?? null;
    return await fetch(request.url, {
      method: request.method,
      headers,
      body: body as BodyInit | null,
      redirect: 'manual',
      signal: deadline.signal,
      // Required by fetch for a body that is streamed.
      ...(body instanceof ReadableStream ? { duplex: 'half' } : {}),
    } as RequestInit);
  }

  return {
    async send(request) {
      const { operation, timeoutMs, signal } = request;
      const deadline = createDeadline({ parents: [signal], timeoutMs, operation });
      try {
        const response = await sendOnce(request, deadline).catch((error: unknown) => {
          if (deadline.signal.aborted || !mayRetry(request, error)) throw error;
          return sendOnce(request, deadline);
        });
        if (response.body === null) deadline.dispose();
        const body = response.body === null ? null : guardBody(response.body, deadline, operation, onBytes);
        return { kind: 'response', response, body };
      } catch (error) {
        const stopped = deadline.signal.aborted ? abortError(deadline.signal) : undefined;
        deadline.dispose();
        if (stopped?.code === 'timeout') return { kind: 'failed', reason: 'timeout', message: stopped.message };
        if (stopped !== undefined) throw stopped;
        return { kind: 'failed', reason: 'network', message: networkMessage(operation, error) };
      }
    },
  };
}

/** Codes of a connection that ended under the request. Elsewhere than on Node there is no code: one more try costs little. */
const CLOSED = new Set(['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET']);

function mayRetry(request: TransportRequest, error: unknown): boolean {
  if (request.body instanceof ReadableStream) return false;
  const code = codeOf(error);
  return code === undefined || CLOSED.has(code);
}

function codeOf(error: unknown): string | undefined {
  const cause: unknown = error instanceof Error ? error.cause : undefined;
  const code: unknown = typeof cause === 'object' && cause !== null && 'code' in cause ? cause.code : undefined;
  return typeof code === 'string' ? code : undefined;
}

/** Never the error's own text: it may quote the URL or a field. */
function networkMessage(operation: string, error: unknown): string {
  const code = codeOf(error);
  return `${operation}: upstream could not be reached${code === undefined ? '' : ` (${code})`}`;
}

function guardBody(
  source: ReadableStream<Uint8Array>,
  deadline: Deadline,
  operation: string,
  onBytes: (bytes: number) => void,
): ReadableStream<Uint8Array> {
  const pieces = openPieces(source);
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const piece = await pieces.next();
          if (piece === undefined) {
            deadline.dispose();
            controller.close();
          } else {
            onBytes(piece.length);
            controller.enqueue(piece);
          }
        } catch (error) {
          const stopped = deadline.signal.aborted ? abortError(deadline.signal) : undefined;
          deadline.dispose();
          controller.error(stopped ?? bodyError(operation, error));
        }
      },
      async cancel(reason) {
        deadline.dispose();
        await pieces.cancel(reason);
      },
    },
    { highWaterMark: 0 },
  );
}

function bodyError(operation: string, error: unknown): HotpackError {
  if (isHotpackError(error)) return error;
  const code = codeOf(error);
  return new HotpackError('upstream_unavailable', `${operation}: upstream's answer broke off`, {
    detail: { operation, ...(code === undefined ? {} : { code }) },
  });
}
