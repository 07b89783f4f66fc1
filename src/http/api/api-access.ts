/**
 * Who may use `/api`: whoever has the admin token; where none is set, only a program on the same machine that asks hotpack itself. So
 * the peer must be loopback, and so must the `Host` be that it asks for (a page in a browser can resolve a name of its own to
 * 127.0.0.1), and nobody may have passed the request on.
 */
import { createHash, timingSafeEqual } from 'node:crypto';

export interface ApiAsker {
  /** Address of the peer; undefined where the runtime knows none. */
  readonly peer: string | undefined;
  readonly headers: Headers;
}

export type ApiAccess =
  | { readonly kind: 'granted' }
  | { readonly kind: 'refused'; readonly status: 401 | 403; readonly code: string; readonly message: string };

export function decideApiAccess(asker: ApiAsker, adminToken: string | undefined): ApiAccess {
  if (adminToken !== undefined) {
    const [, given] = /^bearer +(\S+)\s*$/i.exec(asker.headers.get('authorization') ?? '') ?? [];
    if (given !== undefined && isSame(given, adminToken)) return { kind: 'granted' };
    return refusal(401, 'unauthorized', 'the admin token is asked for: Authorization: Bearer …');
  }
  if (asker.peer === undefined || !isLoopback(asker.peer)) {
    return refusal(403, 'forbidden', 'without HOTPACK_ADMIN_TOKEN this is for the same machine alone');
  }
  if (!isLoopback(hostOf(asker.headers.get('host')))) {
    return refusal(403, 'forbidden', 'without HOTPACK_ADMIN_TOKEN the host asked for must be localhost');
  }
  for (const name of asker.headers.keys()) {
    if (name !== 'forwarded' && !name.startsWith('x-forwarded-')) continue;
    return refusal(403, 'forbidden', 'without HOTPACK_ADMIN_TOKEN the request must not have been forwarded');
  }
  return { kind: 'granted' };
}

function refusal(status: 401 | 403, code: string, message: string): ApiAccess {
  return { kind: 'refused', status, code, message };
}

/** Takes the same time wherever the two differ. */
function isSame(given: string, expected: string): boolean {
  const digest = (text: string): Uint8Array => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(expected));
}

/** Of `host`, `host:port`, `[v6]:port`. */
function hostOf(header: string | null): string {
  const [, name, v6] = /^(?:([^:[\]]+)|\[([0-9a-f:.]+)\])(?::\d+)?$/i.exec(header ?? '') ?? [];
  return (v6 ?? name ?? '').toLowerCase();
}

function isLoopback(host: string): boolean {
  if (host === 'localhost' || host === '::1') return true;
  const v4 = host.replace(/^::ffff:/, '');
  return /^127(\.\d{1,3}){3}$/.test(v4);
}
