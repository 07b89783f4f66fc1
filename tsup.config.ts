import { defineConfig, type Options } from 'tsup';

const common: Options = { format: ['esm'], splitting: false, sourcemap: false, dts: false, silent: true };

/** Self-contained, so that it starts from any working directory and with nothing installed beside it. */
const node: Options = {
  ...common,
  entry: {
    'adapters/node': 'adapters/node.ts',
    'adapters/node-thread': 'adapters/node-thread.ts',
    cli: 'adapters/cli.ts',
    index: 'src/index.ts',
  },
  platform: 'node',
  target: 'node22',
  noExternal: [/^(?!node:)/],
};

/** `conditions` choose the runtime's own entry of h3 and srvx. */
function edge(name: string, conditions: readonly string[]): Options {
  return {
    ...common,
    entry: { [`adapters/${name}`]: `adapters/${name}.ts` },
    platform: 'neutral',
    target: 'es2022',
    removeNodeProtocol: false,
    noExternal: [/^(?!node:|cloudflare:)/],
    external: [/^node:/, /^cloudflare:/],
    esbuildOptions(options) {
      options.conditions = [...conditions, 'import', 'default'];
      options.mainFields = ['module', 'main'];
    },
  };
}

const config: ReturnType<typeof defineConfig> = defineConfig([
  node,
  edge('cloudflare', ['workerd', 'worker']),
  edge('deno', ['deno']),
]);

export default config;
