/** Answers parsed requests of clients that may read the repository. */
import { parseV0Fetch } from '../protocol/fetch/v0-request.ts';
import { BoundedMap } from '../upstream/bounded-map.ts';
import { advertise } from './refs/advertise.ts';
import type { Serve, ServeContext } from './contract.ts';
import { counted } from './fetch/count-fetch.ts';
import { answerFetch } from './fetch/fetch.ts';
import { answerLsRefs } from './refs/ls-refs.ts';
import { forwardRaw } from './fetch/pass-through.ts';
import { createCommandParser } from './parsed-commands.ts';
import type { ServeServices, Serving } from './services.ts';
import { uploadPackResponse } from './services.ts';

const MAX_REMEMBERED = 4_096;

export function createServe(services: ServeServices): Serve {
  const readiness = new BoundedMap<string, boolean>(MAX_REMEMBERED);
  const parseCommand = createCommandParser();

  async function serving(context: ServeContext): Promise<Serving> {
    const { granted, repository, credential } = context;
    const mirror = services.mirrors.of(repository, context.waitUntil);
    if (granted.visibility === 'public') await mirror.noteVisibility('public');
    const visibility = granted.visibility === 'public' ? 'public' : 'unknown';
    const asker = { credential, capabilities: granted.facts.v2Capabilities, visibility } as const;
    const answers = services.answers.of(context.waitUntil);
    return { ...services, answers, readiness, context, mirror, asker };
  }

  return {
    async advertise(context) {
      return advertise(await serving(context));
    },

    async uploadPack(context, body) {
      const one = await serving(context);
      if (context.protocol !== 2) {
        const parsed = parseV0Fetch(body, context.protocol);
        if (parsed.kind === 'empty') return uploadPackResponse(null, 'mirror');
        return counted(one, parsed.request, await answerFetch(one, parsed.request, body));
      }
      const command = parseCommand(body);
      switch (command.kind) {
        case 'empty':
          return uploadPackResponse(null, 'mirror');
        case 'other':
          return forwardRaw(one, body);
        case 'ls-refs':
          if (command.context.serverOptions.length > 0) return forwardRaw(one, body);
          return answerLsRefs(one, command.request);
        case 'fetch':
          return counted(one, command.request, await answerFetch(one, command.request, body));
      }
    },
  };
}
