import { defineConfig, type Options } from 'tsup';

/** Deno knows builtins only by their names with `node:`. */
const common: Options = {
  format: ['esm'],
  splitting: false,
  sourcemap: false,
  dts: false,
  silent: true,
  removeNodeProtocol: false,
};

/** Packages in CommonJS ask for Node's own modules by `require`, which modules have not. */
const REQUIRE = "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);";

/** Self-contained, so that it starts from any working directory and with nothing installed beside it. */
const node: Options = {
  ...common,
  entry: {
    'adapters/node': 'adapters/node.ts',
    'adapters/pack-thread': 'adapters/threads/pack-thread.ts',
    cli: 'adapters/cli.ts',
    index: 'src/index.ts',
  },
  platform: 'node',
  target: 'node22',
  noExternal: [/^(?!node:)/],
  banner: { js: REQUIRE },
};

/** `conditions` choose the runtime's own entry of h3 and srvx. */
function edge(names: readonly string[], conditions: readonly string[]): Options {
  return {
    ...common,
    entry: Object.fromEntries(names.map((name) => [`adapters/${name}`, `adapters/${name}.ts`])),
    platform: 'neutral',
    target: 'es2022',
    noExternal: [/^(?!node:|cloudflare:)/],
    external: [/^node:/, /^cloudflare:/],
    esbuildOptions(options) {
      options.conditions = [...conditions, 'import', 'default'];
      options.mainFields = ['module', 'main'];
    },
  };
}

/** Deno has what ioredis asks Node for, by the names that it asks for. */
const BUILTINS = 'assert|buffer|crypto|dns|events|fs|net|os|path|stream|string_decoder|tls|tty|url|util';
const deno: Options = {
  ...edge(['deno', 'deno-serve'], ['deno']),
  noExternal: [new RegExp(`^(?!node:|(?:${BUILTINS})$)`)],
  external: [/^node:/, new RegExp(`^(?:${BUILTINS})$`)],
  banner: { js: REQUIRE },
};

const config: ReturnType<typeof defineConfig> = defineConfig([node, edge(['cloudflare'], ['workerd', 'worker']), deno]);

export default config;
