/** `GET info/refs?service=git-upload-pack`: capabilities alone in v2, with every ref in v0 and v1. */
import { advertiseV0, advertiseV2, v0CapabilitiesFromV2 } from '../../protocol/capabilities/advertise.ts';
import { writeAdvertisement } from '../../protocol/capabilities/advertisement.ts';
import { writeCapability } from '../../protocol/capabilities/capability.ts';
import { NOT_TO_BE_KEPT } from '../../protocol/not-to-be-kept.ts';
import { encodedOnce, sharedBody } from './encoded-refs.ts';
import type { ShownRefs } from './refs-shown.ts';
import { refsShown } from './refs-shown.ts';
import type { Serving } from '../services.ts';

export async function advertise(serving: Serving): Promise<Response> {
  const { context, agent } = serving;
  const { facts } = context.granted;
  if (context.protocol === 2) {
    const bytes = encodedOnce(facts.v2Capabilities, agent, () => {
      const capabilities = advertiseV2(facts.v2Capabilities, agent);
      return writeAdvertisement({ version: 2, capabilities }, { service: false });
    });
    return response(bytes, 'upstream');
  }
  const version = context.protocol;
  const { refs, source } = await allRefs(serving);
  const theirs = facts.v0Capabilities ?? v0CapabilitiesFromV2(facts.v2Capabilities);
  const headTarget = refs.head.kind === 'symref' ? refs.head.target : undefined;
  const capabilities = advertiseV0(theirs, { agent, headTarget });
  const way = `v${version} ${capabilities.map(writeCapability).join(' ')}`;
  const bytes = encodedOnce(refs, way, () =>
    writeAdvertisement({ version, capabilities, refs, shallows: [] }, { service: true }),
  );
  return response(bytes, source);
}

/** The list that came with this very request's access check saves a second question. */
async function allRefs(serving: Serving): Promise<ShownRefs> {
  const { context, mirror, asker } = serving;
  const { advertised } = context.granted;
  if (advertised === undefined || advertised.sentAtMs < context.arrivedAtMs) return refsShown(serving, 'all');
  mirror.noteRefs({ scope: 'all', refs: advertised.refs, sentAtMs: advertised.sentAtMs }, asker);
  return { refs: advertised.refs, source: 'upstream' };
}

function response(bytes: Uint8Array, source: 'upstream' | 'mirror'): Response {
  return new Response(sharedBody(bytes), {
    headers: {
      'content-type': 'application/x-git-upload-pack-advertisement',
      'x-hotpack-source': source,
      ...NOT_TO_BE_KEPT,
    },
  });
}
