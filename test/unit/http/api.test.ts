/** `/api`: who may use it, and what it answers to what is wrong. */
import { describe, expect, test } from 'vitest';
import { decideApiAccess } from '../../../src/http/api/api-access.ts';
import { answerTop } from '../../../src/http/api/top.ts';
import type { TopQuestion } from '../../../src/popularity/contract.ts';

const TOKEN = 'a-token-of-hotpack';

function decide(peer: string | undefined, headers: Readonly<Record<string, string>>, token?: string): number {
  const access = decideApiAccess({ peer, headers: new Headers(headers) }, token);
  return access.kind === 'granted' ? 200 : access.status;
}

describe('without an admin token', () => {
  test.each([
    ['127.0.0.1', 'localhost:8080'],
    ['127.0.0.1', '127.0.0.1'],
    ['127.8.9.10', '127.0.0.1:80'],
    ['::1', '[::1]:8080'],
    ['::ffff:127.0.0.1', 'LOCALHOST'],
  ])('peer %s that asks for %s may', (peer, host) => {
    expect(decide(peer, { host })).toBe(200);
  });

  test.each<[string, string | undefined, Record<string, string>]>([
    ['a peer elsewhere', '10.0.0.7', { host: 'localhost' }],
    ['a peer that looks like loopback', '127.0.0.1.example.com', { host: 'localhost' }],
    ['a peer that is mapped from elsewhere', '::ffff:10.0.0.7', { host: 'localhost' }],
    ['a peer that nobody knows', undefined, { host: 'localhost' }],
    ['a name that was made to resolve to this machine', '127.0.0.1', { host: 'attacker.example:8080' }],
    ['a name that begins like loopback', '127.0.0.1', { host: '127.0.0.1.attacker.example' }],
    ['no host', '127.0.0.1', {}],
    ['a user in the host', '127.0.0.1', { host: 'attacker@localhost' }],
    ['a proxy that says so', '127.0.0.1', { host: 'localhost', 'x-forwarded-for': '127.0.0.1' }],
    ['a proxy that says the host', '127.0.0.1', { host: 'localhost', 'X-Forwarded-Host': 'localhost' }],
    ['a proxy by the standard', '127.0.0.1', { host: 'localhost', forwarded: 'for=127.0.0.1' }],
  ])('%s may not', (_name, peer, headers) => {
    expect(decide(peer, headers)).toBe(403);
  });
});

describe('with an admin token', () => {
  test.each([`Bearer ${TOKEN}`, `bearer  ${TOKEN} `])('%j may, from anywhere', (authorization) => {
    expect(decide('10.0.0.7', { host: 'hotpack.example', 'x-forwarded-for': '1.2.3.4', authorization }, TOKEN)).toBe(
      200,
    );
    expect(decide(undefined, { authorization }, TOKEN)).toBe(200);
  });

  test.each([undefined, 'Bearer', `Basic ${TOKEN}`, `Bearer ${TOKEN}x`, 'Bearer a-token', TOKEN])(
    '%j may not, not even from here',
    (authorization) => {
      const headers = { host: 'localhost', ...(authorization === undefined ? {} : { authorization }) };
      expect(decide('127.0.0.1', headers, TOKEN)).toBe(401);
    },
  );
});

describe('top', () => {
  async function ask(query: string): Promise<TopQuestion | number> {
    let asked: TopQuestion | undefined;
    const top = (question: TopQuestion) => {
      asked = question;
      return Promise.resolve({ days: 1, from: '2026-11-22', to: '2026-11-22', repos: [] });
    };
    const deps = { popularity: { top } } as unknown as Parameters<typeof answerTop>[0];
    const answer = await answerTop(deps, new URLSearchParams(query), new AbortController().signal);
    return answer.kind === 'error' ? answer.status : (asked as TopQuestion);
  }

  test('14 days and 20 repositories where nothing is said, up to 90 and 1,000', async () => {
    expect(await ask('')).toEqual({ days: 14, limit: 20 });
    expect(await ask('days=1&limit=1')).toEqual({ days: 1, limit: 1 });
    expect(await ask('days=90&limit=1000')).toEqual({ days: 90, limit: 1_000 });
  });

  test.each(['days=0', 'days=91', 'limit=0', 'limit=1001', 'days=-1', 'days=1.5', 'days=', 'days=1e1', 'limit=x'])(
    '%s is a 400',
    async (query) => {
      expect(await ask(query)).toBe(400);
    },
  );
});
