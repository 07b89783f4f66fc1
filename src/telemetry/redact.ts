/**
 * Keeps secrets out of log lines. Three nets, since none alone is enough: fields whose name says that they hold a
 * secret, shapes that secrets have in text (Authorization values, userinfo in URLs, `token=`), and the configured
 * secrets themselves, wherever they turn up.
 */
const SECRET_FIELD = /(authorization|token|secret|password|passwd|credential|cookie|api[-_]?key|private[-_]?key)/i;
/** Whatever stands between the scheme and the last `@` before the path ends. */
const USERINFO = /\b([a-z][a-z0-9+.-]*:\/\/)[^\s/?#"'<>]*@/gi;
const AUTHORIZATION = /\b(basic|bearer|token|negotiate|digest)(\s+|%20)(?!realm=)[a-z0-9._~+/=:-]{4,}/gi;
const ASSIGNMENT = /\b([a-z_-]*(?:token|secret|password|passwd|api[-_]?key))(["']?\s*[=:]\s*["']?)[^\s"'&,;]+/gi;
/** Tokens of the large hosts, which are recognisable by their prefix. */
const KNOWN_TOKEN = /\b(gh[opsur]_[A-Za-z0-9]{16,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{16,})/g;

export const REDACTED = '[redacted]';
const MAX_DEPTH = 6;

export type Redact = (value: unknown, name?: string) => unknown;

/** `secrets`: configured tokens and passwords in the clear; shorter than four characters are ignored as too common. */
export function createRedact(secrets: readonly string[]): Redact {
  const known = [...new Set(secrets.flatMap(spellings))].toSorted((left, right) => right.length - left.length);

  function redactText(text: string): string {
    let clean = text;
    for (const secret of known) clean = clean.replaceAll(secret, REDACTED);
    return clean
      .replace(USERINFO, `$1${REDACTED}@`)
      .replace(KNOWN_TOKEN, REDACTED)
      .replace(AUTHORIZATION, `$1 ${REDACTED}`)
      .replace(ASSIGNMENT, `$1$2${REDACTED}`);
  }

  function redact(value: unknown, name: string, depth: number): unknown {
    if (name !== '' && SECRET_FIELD.test(name) && value !== undefined && value !== null) return REDACTED;
    if (typeof value === 'string') return redactText(value);
    if (typeof value === 'bigint') return value.toString();
    if (typeof value !== 'object' || value === null) return value;
    if (depth >= MAX_DEPTH) return '[too deep]';
    if (value instanceof Error) return redactError(value, depth);
    if (Array.isArray(value)) return value.map((item) => redact(item, '', depth + 1));
    if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
    if (value instanceof URL) return redactText(value.href);
    const entries = value instanceof Headers || value instanceof Map ? [...value] : Object.entries(value);
    return Object.fromEntries(
      entries.map(([key, item]) => [redactText(String(key)), redact(item, String(key), depth + 1)]),
    );
  }

  function redactError(error: Error, depth: number): Record<string, unknown> {
    const { code, detail } = error as { code?: unknown; detail?: unknown };
    return {
      name: error.name,
      ...(code === undefined ? {} : { code: redact(code, '', depth + 1) }),
      message: redactText(error.message),
      ...(detail === undefined ? {} : { detail: redact(detail, '', depth + 1) }),
      ...(error.stack === undefined ? {} : { stack: redactText(error.stack) }),
      ...(error.cause === undefined ? {} : { cause: redact(error.cause, '', depth + 1) }),
    };
  }

  return (value, name = '') => redact(value, name, 0);
}

/** A secret as it is, in a URL, and as it travels in Basic credentials of any user name that is part of it. */
function spellings(secret: string): string[] {
  if (secret.length < 4) return [];
  const base64 = btoa(String.fromCharCode(...new TextEncoder().encode(secret)));
  return [secret, encodeURIComponent(secret), base64, base64.replace(/=+$/, '')];
}
