/** workerd's zlib has limits of its own: the inflater there, over sizes that it would refuse if it were asked as Node is. */
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { Miniflare } from 'miniflare';
import { expect, test } from 'vitest';

test('what is inflated by the platform comes out whole, whatever its size', async () => {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL('../../../support/workerd/inflate-suite.ts', import.meta.url))],
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'neutral',
    external: ['node:*'],
  });
  const runtime = new Miniflare({
    modules: [{ type: 'ESModule', path: 'suite.mjs', contents: outputFiles[0]?.text ?? '' }],
    compatibilityDate: '2026-04-01',
    compatibilityFlags: ['nodejs_compat'],
  });
  try {
    const aroundPowers = Array.from({ length: 10 }, (_, n) => 4_096 * 2 ** n).flatMap((size) => [
      size - 1,
      size,
      size + 1,
    ]);
    const between = Array.from({ length: 60 }, (_, n) => 4_096 + n * 12_345);
    const sizes = [...aroundPowers, ...between];
    const answer = await runtime.dispatchFetch(`http://suite/?sizes=${JSON.stringify(sizes)}`);
    expect(await answer.json()).toEqual({ tried: sizes.length, failed: [] });
  } finally {
    await runtime.dispose();
  }
});
