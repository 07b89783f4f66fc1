/**
 * Capabilities as lists that keep order and what is unknown: v2 has one a line (gitprotocol-v2, "Capability
 * Advertisement"), v0 and v1 have them behind the first ref (gitprotocol-capabilities).
 */

export interface Capability {
  readonly name: string;
  /** Behind the first `=`; absent without one. */
  readonly value?: string;
}

export type Capabilities = readonly Capability[];

export function parseCapability(text: string): Capability {
  const equals = text.indexOf('=');
  return equals < 0 ? { name: text } : { name: text.slice(0, equals), value: text.slice(equals + 1) };
}

export function writeCapability(capability: Capability): string {
  return capability.value === undefined ? capability.name : `${capability.name}=${capability.value}`;
}

/** The first capability of that name. */
export function findCapability(capabilities: Capabilities, name: string): Capability | undefined {
  return capabilities.find((capability) => capability.name === name);
}

export function hasCapability(capabilities: Capabilities, name: string): boolean {
  return findCapability(capabilities, name) !== undefined;
}

/** The words of a v2 command's value: `fetch=shallow filter` has the features `shallow` and `filter`. */
export function featuresOf(capabilities: Capabilities, command: string): readonly string[] {
  const value = findCapability(capabilities, command)?.value ?? '';
  return value.split(' ').filter((feature) => feature !== '');
}

export function hasFeature(capabilities: Capabilities, command: string, feature: string): boolean {
  return featuresOf(capabilities, command).includes(feature);
}

/** The hash of the repository's object names; git says `sha1` by saying nothing. */
export function objectFormatOf(capabilities: Capabilities): string {
  return findCapability(capabilities, 'object-format')?.value ?? 'sha1';
}
