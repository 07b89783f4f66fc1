/** Settings from the environment, checked against one another, as `createApp` and the adapters take them. */
import * as v from 'valibot';
import { HotpackError } from './bytes/error.ts';
import { describeValue, type KvSpec, type UpstreamEntry } from './setting-values.ts';
import { IGNORE_CASE, SETTINGS, type Setting, type Settings } from './settings.ts';
import { createRedact } from './telemetry/redact.ts';
import { credentialOfToken } from './upstream/credential.ts';
import type { UpstreamConfig } from './upstream/repository.ts';

/** What `createApp` and the adapters work with. */
export interface Config extends Omit<Settings, 'upstreams' | 'upstreamTokens'> {
  /** By name, credentials included. */
  readonly upstreams: ReadonlyMap<string, UpstreamConfig>;
  /** Every configured secret in the clear, for the logger to keep out of its lines. */
  readonly secrets: readonly string[];
}

/**
 * Reads the settings. Empty values count as not set. Throws `invalid_argument` with a message of one line that names
 * the setting, its value unless that is secret, and what it takes. `warnings`: names of `HOTPACK_*` that mean nothing here.
 */
export function resolveConfig(
  env: Readonly<Record<string, string | undefined>>,
  options: { readonly edge: boolean; readonly hasDenoKv?: boolean },
): { readonly config: Config; readonly warnings: readonly string[] } {
  const { upstreams: entries, upstreamTokens: tokens, ...settings } = readSettings(env, options.edge);
  const { storage, kv, adminToken, s3AccessKeyId, s3SecretAccessKey, s3SessionToken } = settings;
  for (const name of tokens.keys()) {
    if (entries.some((entry) => entry.name === name)) continue;
    throw new HotpackError(
      'invalid_argument',
      `${SETTINGS.upstreamTokens.env}: names an upstream that ${SETTINGS.upstreams.env} does not list`,
    );
  }
  if (storage.kind === 's3') {
    assertGiven(SETTINGS.s3AccessKeyId, s3AccessKeyId);
    assertGiven(SETTINGS.s3SecretAccessKey, s3SecretAccessKey);
  }
  if (kv.kind === 'deno' && options.hasDenoKv !== true) {
    const { env: name } = SETTINGS.kv;
    throw new HotpackError('invalid_argument', `${name}: deno: takes Deno Deploy, or Deno with --unstable-kv`);
  }
  const config: Config = {
    ...settings,
    upstreams: new Map(entries.map((entry) => [entry.name, upstreamConfig(entry, tokens.get(entry.name))])),
    secrets: [
      ...[...tokens.values()].flatMap(secretParts),
      ...urlSecrets(kv),
      adminToken,
      s3SecretAccessKey,
      s3SessionToken,
    ].filter((text) => text !== ''),
  };
  const known = new Set(Object.values(SETTINGS).map((setting) => setting.env));
  const warnings = Object.keys(env).filter((name) => name.startsWith('HOTPACK_') && !known.has(name));
  return { config, warnings: warnings.toSorted() };
}

/** In the order of the table: of several wrong ones the first is told. */
function readSettings(env: Readonly<Record<string, string | undefined>>, edge: boolean): Settings {
  const read = Object.entries(SETTINGS).map(([name, setting]: [string, Setting]) => [
    name,
    readSetting(setting, env[setting.env], edge),
  ]);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the table has one entry of each name, with its type
  return Object.fromEntries(read) as Settings;
}

function readSetting<T>(setting: Setting<T>, given: string | undefined, edge: boolean): T {
  const fallback = (edge ? setting.edgeDefault : undefined) ?? setting.default;
  const text = given === undefined || given.trim() === '' ? fallback : given.trim();
  const parsed = v.safeParse(setting.value, text);
  if (parsed.success) return parsed.output;
  const shown = setting.secret === true ? 'the value (not shown)' : printable(text);
  throw new HotpackError('invalid_argument', `${setting.env}: ${shown} is not ${describeValue(setting.value)}`);
}

/** Throws where a bucket is asked for without what it takes. */
function assertGiven(setting: Setting<string>, value: string): void {
  if (value !== '') return;
  throw new HotpackError('invalid_argument', `${setting.env}: is needed where ${SETTINGS.storage.env} is a bucket`);
}

/** A value on one line, short, and without the userinfo of URLs. */
function printable(text: string): string {
  const clean = String(createRedact([])(text));
  return JSON.stringify(clean.length > 200 ? `${clean.slice(0, 200)}…` : clean);
}

function upstreamConfig(entry: UpstreamEntry, token: string | undefined): UpstreamConfig {
  return {
    name: entry.name,
    baseUrl: entry.baseUrl,
    ignoresCase: IGNORE_CASE.includes(entry.name),
    ...(token === undefined ? {} : { token: credentialOfToken(token) }),
  };
}

/** As it stands in the URL, and as it is sent. */
function urlSecrets(kv: KvSpec): string[] {
  const password = kv.kind === 'redis' ? new URL(kv.url).password : '';
  return [password, unescaped(password)];
}

function unescaped(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The token alone and as the pair that Basic credentials are made of. */
function secretParts(token: string): string[] {
  const colon = token.indexOf(':');
  return colon === -1 ? [token, `x-access-token:${token}`] : [token, token.slice(colon + 1)];
}
