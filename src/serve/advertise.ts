/** `GET info/refs?service=git-upload-pack`: capabilities alone in v2, with every ref in v0 and v1. */
import { advertiseV0, advertiseV2, v0CapabilitiesFromV2 } from '../protocol/capabilities/advertise.ts';
import type { Advertisement } from '../protocol/capabilities/advertisement.ts';
import { writeAdvertisement } from '../protocol/capabilities/advertisement.ts';
import type { ShownRefs } from './refs-shown.ts';
import { refsShown } from './refs-shown.ts';
import type { Serving } from './services.ts';

export async function advertise(serving: Serving): Promise<Response> {
  const { context, agent } = serving;
  const { facts } = context.granted;
  if (context.protocol === 2) {
    const capabilities = advertiseV2(facts.v2Capabilities, agent);
    return response({ version: 2, capabilities }, 'upstream');
  }
  const { refs, source } = await allRefs(serving);
  const theirs = facts.v0Capabilities ?? v0CapabilitiesFromV2(facts.v2Capabilities);
  const headTarget = refs.head.kind === 'symref' ? refs.head.target : undefined;
  const capabilities = advertiseV0(theirs, { agent, headTarget });
  return response({ version: context.protocol, capabilities, refs, shallows: [] }, source);
}

/** The list that came with this very request's access check saves a second question. */
async function allRefs(serving: Serving): Promise<ShownRefs> {
  const { context, mirror, asker } = serving;
  const { advertised } = context.granted;
  if (advertised === undefined || advertised.sentAtMs < context.arrivedAtMs) return refsShown(serving, 'all');
  mirror.noteRefs({ scope: 'all', refs: advertised.refs, sentAtMs: advertised.sentAtMs }, asker);
  return { refs: advertised.refs, source: 'upstream' };
}

function response(advertisement: Advertisement, source: 'upstream' | 'mirror'): Response {
  return new Response(writeAdvertisement(advertisement, { service: advertisement.version !== 2 }) as BodyInit, {
    headers: { 'content-type': 'application/x-git-upload-pack-advertisement', 'x-hotpack-source': source },
  });
}
