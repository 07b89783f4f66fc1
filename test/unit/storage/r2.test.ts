/** The storage contract over an R2 binding in real workerd: the suite runs there, one request a case. */
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { Miniflare } from 'miniflare';
import { afterAll, describe, expect, it } from 'vitest';

const support = fileURLToPath(new URL('../../support/workerd', import.meta.url));
const { outputFiles } = await build({
  entryPoints: [`${support}/storage-suite.ts`],
  alias: { vitest: `${support}/vitest-inside.ts` },
  bundle: true,
  write: false,
  format: 'esm',
  platform: 'neutral',
  mainFields: ['module', 'main'],
  conditions: ['workerd', 'import'],
  external: ['node:*', 'cloudflare:*'],
  inject: [`${support}/globals.ts`],
});
const runtime = new Miniflare({
  modules: [{ type: 'ESModule', path: 'suite.mjs', contents: outputFiles[0]?.text ?? '' }],
  compatibilityDate: '2026-04-01',
  compatibilityFlags: ['nodejs_compat'],
  r2Buckets: ['BUCKET'],
});
afterAll(() => runtime.dispose());

const names = (await (await runtime.dispatchFetch('http://suite/')).json()) as string[];

describe('in workerd', () => {
  it('there are cases', () => expect(names.length).toBeGreaterThan(70));
  it.each(names.map((name, index) => [name, index] as const))(
    '%s',
    async (_name, index) => {
      const answer = await runtime.dispatchFetch(`http://suite/${index}`);
      expect(await answer.text()).toBe('passed');
    },
    60_000,
  );
});
