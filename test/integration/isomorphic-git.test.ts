/** A second, independent client: isomorphic-git clones through hotpack, cold and from the mirror. */
import fs from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import * as isomorphic from 'isomorphic-git';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { assertSound } from '../support/clones.ts';
import { git, temporaryFolder } from '../support/git.ts';
import { revision, richRepository } from '../support/repositories.ts';
import { fillMirror, openHouse, type House } from './house.ts';

let house: House;
beforeAll(async () => {
  house = await openHouse({ rich: richRepository(), cold: richRepository() });
});
afterAll(() => house.close());

/** isomorphic-git's transport over plain node:http. */
const http: isomorphic.HttpClient = {
  request: ({ url, method = 'GET', headers = {}, body }) =>
    new Promise((resolve, reject) => {
      const outgoing = request(url, { method, headers, agent: false }, (incoming) => {
        resolve({
          url,
          method,
          statusCode: incoming.statusCode ?? 0,
          statusMessage: incoming.statusMessage ?? '',
          headers: incoming.headers as Record<string, string>,
          body: incoming[Symbol.asyncIterator]() as AsyncIterableIterator<Uint8Array>,
        });
      });
      outgoing.on('error', reject);
      void (async () => {
        for await (const chunk of body ?? []) outgoing.write(chunk);
        outgoing.end();
      })();
    }),
};

async function cloneWith(
  repository: string,
  options: { readonly depth?: number; readonly singleBranch?: boolean },
): Promise<string> {
  const dir = join(temporaryFolder('isomorphic'), 'clone');
  await isomorphic.clone({ fs, http, dir, url: house.hotpack.repository(repository), ...options });
  return dir;
}

async function commits(folder: string, name: string): Promise<string> {
  return git(['rev-list', '--count', name], { cwd: folder });
}

test('clones cold', async () => {
  const dir = await cloneWith('up/cold', {});
  await assertSound(dir);
  const folder = house.upstream.folder('up/cold');
  expect(revision(dir, 'HEAD')).toBe(revision(folder, 'main'));
  expect(await commits(dir, 'HEAD')).toBe(await commits(folder, 'main'));
});

test('clones and fetches from the mirror, complete and shallow', async () => {
  await fillMirror(house, 'up/rich');
  house.upstream.forbidFetch('up/rich');
  const folder = house.upstream.folder('up/rich');
  const dir = await cloneWith('up/rich', { singleBranch: true });
  await assertSound(dir);
  expect(await commits(dir, 'HEAD')).toBe(await commits(folder, 'main'));
  const shallow = await cloneWith('up/rich', { depth: 2, singleBranch: true });
  expect(await commits(shallow, 'HEAD')).toBe('2\n');
  await isomorphic.fetch({ fs, http, dir: shallow, ref: 'release/1.x', depth: 3, singleBranch: true });
  expect(revision(shallow, 'refs/remotes/origin/release/1.x')).toBe(revision(folder, 'release/1.x'));
});
