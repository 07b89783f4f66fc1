/**
 * The values that settings take, each as a schema from the environment's string to what the code works with.
 * A schema's description is what an error message and the README say that the setting takes.
 */
import * as v from 'valibot';

export type ValueSchema<T> = v.GenericSchema<string, T>;

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1e3, m: 60e3, h: 3600e3, d: 86_400e3 };
const UNIT_BYTES: Readonly<Record<string, number>> = {
  '': 1,
  B: 1,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
};
/** The longest that a timer of any runtime can wait: 2^31 − 1 ms. */
const MAX_TIMER_MS = 2 ** 31 - 1;
const MAX_CALENDAR_MS = 3660 * 86_400e3;

/** What a schema takes, in words. */
export function describeValue(schema: v.GenericSchema<string, unknown>): string {
  return v.getDescription(schema) ?? 'a value';
}

/** Milliseconds. `0` is taken unless `positive`. `calendar`: compared with dates, never waited for. */
export function duration(
  options: { readonly positive?: boolean; readonly calendar?: boolean } = {},
): ValueSchema<number> {
  const { positive = false, calendar = false } = options;
  return v.pipe(
    v.string(),
    v.regex(/^(\d+(ms|s|m|h|d)|0)$/),
    v.transform((text) => {
      const [, digits, unit] = /^(\d+)([a-z]*)$/.exec(text) as unknown as [string, string, string];
      return Number(digits) * (UNIT_MS[unit] ?? 0);
    }),
    v.minValue(positive ? 1 : 0),
    v.maxValue(calendar ? MAX_CALENDAR_MS : MAX_TIMER_MS),
    v.description(
      `a duration such as 250ms, 10s, 5m, 1h or 14d${positive ? ' above 0' : ', or 0'}, at most ${calendar ? 3660 : 24}d`,
    ),
  );
}

/** Bytes, at least `min`. */
export function byteSize(min = 0): ValueSchema<number> {
  return v.pipe(
    v.string(),
    v.regex(/^\d+(B|KiB|MiB|GiB|TiB)?$/),
    v.transform((text) => {
      const [, digits, unit] = /^(\d+)(.*)$/.exec(text) as unknown as [string, string, string];
      return Number(digits) * (UNIT_BYTES[unit] as number);
    }),
    v.safeInteger(),
    v.minValue(min),
    v.description(`bytes such as 1048576, 64MiB or 10GiB${min === 0 ? '' : `, at least ${min}`}`),
  );
}

/** Bytes, or a share of the volume that everything is on. */
export type StoreSize =
  | { readonly kind: 'bytes'; readonly bytes: number }
  | { readonly kind: 'share'; readonly percent: number };

/** `0`: no limit. */
export function storeSize(): ValueSchema<StoreSize> {
  const bytes = byteSize();
  return v.pipe(
    v.string(),
    v.check((text) => /^([1-9]\d?|100)%$/.test(text) || v.safeParse(bytes, text).success),
    v.transform((text): StoreSize =>
      text.endsWith('%')
        ? { kind: 'share', percent: Number(text.slice(0, -1)) }
        : { kind: 'bytes', bytes: v.parse(bytes, text) },
    ),
    v.description('bytes such as 500GiB, or a share of the volume such as 80%'),
  );
}

export function wholeNumber(bounds: { readonly min: number; readonly max: number }): ValueSchema<number> {
  const { min, max } = bounds;
  return v.pipe(
    v.string(),
    v.regex(/^\d{1,9}$/),
    v.transform(Number),
    v.minValue(min),
    v.maxValue(max),
    v.description(`a whole number from ${min} to ${max}`),
  );
}

export function port(): ValueSchema<number> {
  return v.pipe(
    v.string(),
    v.regex(/^\d{1,5}$/),
    v.transform(Number),
    v.maxValue(65_535),
    v.description('a port from 0 to 65535; 0 picks a free one'),
  );
}

export function host(): ValueSchema<string> {
  return v.pipe(v.string(), v.regex(/^[A-Za-z0-9._:%-]+$/), v.description('a host name or an IP address'));
}

export function oneOf<const T extends readonly string[]>(names: T): ValueSchema<T[number]> {
  return v.pipe(v.picklist(names), v.description(`one of ${names.join(', ')}`)) as unknown as ValueSchema<T[number]>;
}

/** Where things are kept. `prefix`: segments of keys joined by `/`, or empty. */
export type StorageSpec =
  | { readonly kind: 'fs'; readonly folder: string }
  | { readonly kind: 'memory' }
  | { readonly kind: 's3'; readonly bucket: string; readonly prefix: string };

export function storageSpec(): ValueSchema<StorageSpec> {
  return v.pipe(
    v.string(),
    v.regex(/^(fs:.+|memory:|s3:\/\/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](\/[A-Za-z0-9._~-]+)*\/?)$/s),
    v.transform((text): StorageSpec => {
      if (text === 'memory:') return { kind: 'memory' };
      if (text.startsWith('fs:')) return { kind: 'fs', folder: text.slice(3) };
      const [bucket = '', ...prefix] = text.slice('s3://'.length).replace(/\/$/, '').split('/');
      return { kind: 's3', bucket, prefix: prefix.join('/') };
    }),
    v.check((spec) => spec.kind !== 's3' || !spec.prefix.split('/').some((segment) => /^\.{1,2}$/.test(segment))),
    v.description('fs:DIR, memory: or s3://BUCKET[/PREFIX]'),
  );
}

/** A folder; empty: none. */
export function folderSpec(): ValueSchema<string> {
  return v.pipe(
    v.string(),
    v.regex(/^(|fs:.+)$/s),
    v.transform((text) => text.slice('fs:'.length)),
    v.description('fs:DIR'),
  );
}

/** An origin, http or https, with a path or without; empty: none. */
export function endpoint(): ValueSchema<string> {
  return v.pipe(
    v.string(),
    v.check((text) => text === '' || isPlainHttpUrl(text)),
    v.description('an http or https URL without user, query or fragment'),
  );
}

/** Text that goes into a signed header; empty: none. */
export function awsValue(): ValueSchema<string> {
  return v.pipe(v.string(), v.regex(/^[!-~]*$/), v.description('printable characters without spaces'));
}

/** Where small values are kept; `store`: beside everything else. */
export type KvSpec =
  | Exclude<StorageSpec, { readonly kind: 's3' }>
  | { readonly kind: 'store' }
  | { readonly kind: 'redis'; readonly url: string }
  /** Deno's own; without a path the one that the runtime gives. */
  | { readonly kind: 'deno'; readonly path: string | undefined };

export function kvSpec(): ValueSchema<KvSpec> {
  return v.pipe(
    v.string(),
    v.regex(/^(|fs:.+|memory:|rediss?:\/\/.+|deno:.*)$/s),
    v.transform((text): KvSpec => {
      if (text === '') return { kind: 'store' };
      if (text === 'memory:') return { kind: 'memory' };
      if (text.startsWith('deno:')) return { kind: 'deno', path: text.slice(5) || undefined };
      return text.startsWith('fs:') ? { kind: 'fs', folder: text.slice(3) } : { kind: 'redis', url: text };
    }),
    v.check((spec) => spec.kind !== 'redis' || URL.canParse(spec.url)),
    v.description('fs:DIR, memory:, redis://HOST[:PORT][/DATABASE], rediss://… or, on Deno, deno:[FILE]'),
  );
}

/** A secret that travels in a header. */
export function token(): ValueSchema<string> {
  return v.pipe(v.string(), v.regex(/^(|[!-~]{8,})$/), v.description('8 characters or more, without spaces'));
}

/** One upstream of the list: its name and its base URL without a trailing slash. */
export interface UpstreamEntry {
  readonly name: string;
  readonly baseUrl: string;
}

export function upstreamList(): ValueSchema<readonly UpstreamEntry[]> {
  return v.pipe(
    v.string(),
    v.transform((text) => listItems(text).map(upstreamEntry)),
    v.minLength(1),
    v.check((entries) => entries.every((entry) => entry !== undefined)),
    v.transform((entries) => entries.filter((entry) => entry !== undefined)),
    v.check((entries) => new Set(entries.map((entry) => entry.name)).size === entries.length),
    v.description(
      'a list of name or name=base-URL, each name once and of A-Z a-z 0-9 . _ -, the URL http or https without user, query or fragment',
    ),
  );
}

/** `name=token` or `name=user:token`, by the upstream's name. */
export function tokenList(): ValueSchema<ReadonlyMap<string, string>> {
  return v.pipe(
    v.string(),
    v.transform((text) => listItems(text).map((item) => /^([^=]+)=(\S+)$/.exec(item))),
    v.check((items) => items.every((item) => item !== null)),
    v.transform((items) => items.map((item) => [(item?.[1] ?? '').toLowerCase(), item?.[2] ?? ''] as const)),
    v.check((items) => new Set(items.map(([name]) => name)).size === items.length),
    v.transform((items) => new Map(items)),
    v.description('a list of name=token or name=user:token, each name once'),
  );
}

function listItems(text: string): string[] {
  return text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}

function upstreamEntry(item: string): UpstreamEntry | undefined {
  const equals = item.indexOf('=');
  const name = (equals === -1 ? item : item.slice(0, equals)).toLowerCase();
  if (!/^[a-z0-9._-]+$/.test(name) || /^\.+$/.test(name)) return undefined;
  const text = equals === -1 ? `https://${name}` : item.slice(equals + 1);
  if (!isPlainHttpUrl(text)) return undefined;
  const url = new URL(text);
  return { name, baseUrl: `${url.origin}${url.pathname.replace(/\/+$/, '')}` };
}

function isPlainHttpUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, username, password, search, hash } = new URL(text);
  return /^https?:$/.test(protocol) && username === '' && password === '' && search === '' && hash === '';
}
