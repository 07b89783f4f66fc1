/**
 * What hotpack advertises: what it implements, and of that only what the repository's upstream has too, so that a
 * request which was accepted can also be passed through. Never `session-id`, which would tell
 * clients apart. Order and form are git's, so that what differs from upstream is easy to see.
 */
import {
  featuresOf,
  hasCapability,
  hasFeature,
  objectFormatOf,
  type Capabilities,
  type Capability,
} from './capability.ts';

const V2_FETCH_FEATURES = ['shallow', 'wait-for-done', 'filter', 'ref-in-want', 'sideband-all', 'packfile-uris'];

/** How a fetch is framed and acknowledged is between hotpack and its client: upstream need not have these. */
const V0_OWN = [
  'multi_ack',
  'thin-pack',
  'side-band',
  'side-band-64k',
  'ofs-delta',
  'no-progress',
  'include-tag',
  'multi_ack_detailed',
  'no-done',
];
const V0_SHALLOW = ['shallow', 'deepen-since', 'deepen-not', 'deepen-relative'];

/** In git's order; what stands behind them (symref, filter, object-format, agent) is added by the function. */
const V0_ORDER = [
  'multi_ack',
  'thin-pack',
  'side-band',
  'side-band-64k',
  'ofs-delta',
  'shallow',
  'deepen-since',
  'deepen-not',
  'deepen-relative',
  'no-progress',
  'include-tag',
  'multi_ack_detailed',
  'allow-tip-sha1-in-want',
  'allow-reachable-sha1-in-want',
  'no-done',
];

/** The v2 capabilities for clients of a repository whose upstream has `upstream` (v2). `agent`: `hotpack/1.0`. */
export function advertiseV2(upstream: Capabilities, agent: string): Capabilities {
  const advertised: Capability[] = [{ name: 'agent', value: agent }];
  if (hasCapability(upstream, 'ls-refs')) {
    const unborn = hasFeature(upstream, 'ls-refs', 'unborn');
    advertised.push(unborn ? { name: 'ls-refs', value: 'unborn' } : { name: 'ls-refs' });
  }
  if (hasCapability(upstream, 'fetch')) {
    const theirs = featuresOf(upstream, 'fetch');
    const features = V2_FETCH_FEATURES.filter((feature) => theirs.includes(feature));
    advertised.push(features.length > 0 ? { name: 'fetch', value: features.join(' ') } : { name: 'fetch' });
  }
  if (hasCapability(upstream, 'server-option')) advertised.push({ name: 'server-option' });
  if (hasCapability(upstream, 'object-format')) {
    advertised.push({ name: 'object-format', value: objectFormatOf(upstream) });
  }
  // Commands that hotpack hands on as they are.
  if (hasCapability(upstream, 'object-info')) advertised.push({ name: 'object-info' });
  if (hasCapability(upstream, 'bundle-uri')) advertised.push({ name: 'bundle-uri' });
  return advertised;
}

/** The v0/v1 capabilities, cut from upstream's own v0/v1 list. `headTarget`: the full name of the ref HEAD stands for. */
export function advertiseV0(
  upstream: Capabilities,
  options: { readonly agent: string; readonly headTarget: string | undefined },
): Capabilities {
  const advertised: Capability[] = V0_ORDER.filter((name) => hasCapability(upstream, name)).map((name) => ({ name }));
  if (options.headTarget !== undefined) {
    advertised.push({ name: 'symref', value: `HEAD:${options.headTarget}` });
  }
  if (hasCapability(upstream, 'filter')) advertised.push({ name: 'filter' });
  if (hasCapability(upstream, 'object-format')) {
    advertised.push({ name: 'object-format', value: objectFormatOf(upstream) });
  }
  advertised.push({ name: 'agent', value: options.agent });
  return advertised;
}

/**
 * The v0/v1 capabilities that an upstream known by its v2 ones can back: what hotpack does by itself, and what a v2
 * fetch can express. A v2 server takes any reachable name as a want.
 */
export function v0CapabilitiesFromV2(upstream: Capabilities): Capabilities {
  const names = [...V0_OWN, 'allow-tip-sha1-in-want', 'allow-reachable-sha1-in-want'];
  if (hasFeature(upstream, 'fetch', 'shallow')) names.push(...V0_SHALLOW);
  if (hasFeature(upstream, 'fetch', 'filter')) names.push('filter');
  const format: Capability = { name: 'object-format', value: objectFormatOf(upstream) };
  return [...names.map((name) => ({ name })), format];
}
