import { builtinModules } from 'node:module';
import { defineConfig, type OxlintConfig, type OxlintOverride } from 'oxlint';

/**
 * The rooms from the left of the house to the right; a room may import only rooms of groups that stand after its own.
 * `src/telemetry` is beside them: whoever is listed in `TELEMETRY_USERS` may import it.
 */
const GROUPS: readonly (readonly string[])[] = [
  ['http'],
  ['access', 'serve', 'browse', 'warm', 'proxy'],
  ['answers', 'mirror'],
  ['upstream', 'popularity', 'jobs'],
  ['protocol', 'pack'],
  ['storage'],
  ['bytes'],
];
const ROOMS: readonly string[] = GROUPS.flat();
const TELEMETRY_USERS: readonly string[] = GROUPS.slice(0, 4).flat();

/** What Node, workerd and Deno all have. Everything else of Node stays in adapters and storage drivers. */
const PORTABLE_MODULES = ['crypto', 'zlib', 'buffer'];

interface ImportPattern {
  readonly regex: string;
  readonly message: string;
}

const NO_CHILD_PROCESS: ImportPattern = {
  regex: '^(node:)?child_process$',
  message: 'The product starts no processes: child_process belongs to test and bench.',
};
const NO_WAY_OUT: ImportPattern = {
  regex: '^(\\.\\./)+(adapters|test|bench|dist)/',
  message: 'src imports nothing from adapters, test, bench or dist.',
};
/** Without `node:`, sub-paths left out. oxlint's regular expressions know no look-ahead: what is banned is listed. */
const BUILTINS: readonly string[] = [
  ...new Set(builtinModules.map((name) => name.replace(/^node:/, '').split('/')[0] ?? name)),
].filter((name) => !name.startsWith('_'));
const ONLY_PORTABLE: ImportPattern = {
  regex: `^node:(${BUILTINS.filter((name) => !PORTABLE_MODULES.includes(name)).join('|')})(/|$)`,
  message: `Only node:{${PORTABLE_MODULES.join(',')}} exist on every runtime; the rest belongs to adapters and src/storage/drivers.`,
};
const NO_BARE_BUILTIN: ImportPattern = { regex: `^(${BUILTINS.join('|')})(/|$)`, message: 'Name builtins with node:.' };
const NO_COMPOSITION: ImportPattern = {
  regex: '^(\\.\\./)+(app|config|settings|setting-values|platform|index)\\.ts$',
  message: 'Only src/app.ts and the adapters know the settings, the platform and the app.',
};

function noRooms(names: readonly string[], why: string): ImportPattern[] {
  return names.length === 0 ? [] : [{ regex: `^(\\.\\./)+(${names.join('|')})/`, message: why }];
}

function noPackages(names: readonly string[], message: string): ImportPattern {
  return { regex: `^(${names.join('|')})(/|$)`, message };
}

function packagesOf(room: string): ImportPattern[] {
  const banned = [
    ...(room === 'http' ? [] : ['h3', 'srvx']),
    ...(room === 'storage' ? [] : ['unstorage']),
    ...(room === 'browse' ? [] : ['isomorphic-git', '@isomorphic-git']),
    // The manifest is data from outside like the settings are.
    ...(room === 'mirror' ? [] : ['valibot']),
    'citty',
  ];
  return [noPackages(banned, `${banned.join(', ')}: not in src/${room}.`)];
}

function restrictImports(files: string[], patterns: readonly ImportPattern[]): OxlintOverride {
  return { files, rules: { 'no-restricted-imports': ['error', { patterns: [...patterns] }] } };
}

function roomOverride(room: string): OxlintOverride {
  const group = GROUPS.findIndex((names) => names.includes(room));
  const banned = GROUPS.slice(0, group + 1)
    .flat()
    .filter((name) => name !== room);
  if (!TELEMETRY_USERS.includes(room)) banned.push('telemetry');
  return restrictImports(
    [`src/${room}/**/*.ts`],
    [
      NO_CHILD_PROCESS,
      NO_BARE_BUILTIN,
      NO_WAY_OUT,
      ONLY_PORTABLE,
      NO_COMPOSITION,
      ...packagesOf(room),
      ...noRooms(banned, `src/${room} may import only rooms to its right.`),
    ],
  );
}

const config: OxlintConfig = defineConfig({
  plugins: ['eslint', 'typescript', 'unicorn', 'oxc', 'import', 'vitest'],
  options: { typeAware: true, denyWarnings: true },
  ignorePatterns: ['dist/**', 'node_modules/**'],
  categories: { correctness: 'error' },
  rules: {
    'max-lines': ['error', { max: 400, skipBlankLines: true, skipComments: true }],
    'max-params': ['error', { max: 4 }],
    eqeqeq: 'error',
    'no-var': 'error',
    'prefer-const': 'error',
    'import/no-cycle': ['error', { ignoreTypes: true }],
    'oxc/no-barrel-file': ['error', { threshold: 0 }],
    'typescript/no-explicit-any': 'error',
    'typescript/no-floating-promises': 'error',
    'typescript/no-misused-promises': 'error',
    'typescript/await-thenable': 'error',
    'typescript/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
    'typescript/consistent-type-imports': 'error',
    'typescript/no-non-null-assertion': 'off',
    // A cell that cannot run is a named skip; generated cases choose what to expect.
    'vitest/valid-expect': ['error', { maxArgs: 2 }],
    'vitest/no-disabled-tests': 'off',
    'vitest/no-conditional-expect': 'off',
  },
  overrides: [
    restrictImports(['src/*.ts'], [NO_CHILD_PROCESS, NO_BARE_BUILTIN, NO_WAY_OUT, ONLY_PORTABLE]),
    ...ROOMS.map(roomOverride),
    restrictImports(
      ['src/telemetry/**/*.ts'],
      [
        NO_CHILD_PROCESS,
        NO_BARE_BUILTIN,
        NO_WAY_OUT,
        ONLY_PORTABLE,
        NO_COMPOSITION,
        ...noRooms(
          ROOMS.filter((room) => room !== 'bytes'),
          'src/telemetry may import only src/bytes.',
        ),
      ],
    ),
    restrictImports(
      ['src/storage/drivers/**/*.ts'],
      [
        NO_CHILD_PROCESS,
        NO_BARE_BUILTIN,
        NO_WAY_OUT,
        NO_COMPOSITION,
        ...noRooms(
          [...ROOMS.filter((room) => room !== 'storage' && room !== 'bytes'), 'telemetry'],
          'src/storage may import only src/bytes.',
        ),
      ],
    ),
    restrictImports(['adapters/**/*.ts'], [NO_CHILD_PROCESS, NO_BARE_BUILTIN]),
    {
      files: ['src/**/*.ts'],
      rules: {
        'no-restricted-globals': [
          'error',
          ...[
            'Buffer',
            'process',
            'setImmediate',
            'clearImmediate',
            'require',
            '__dirname',
            '__filename',
            'global',
          ].map((name) => ({ name, message: 'Not on every runtime.' })),
        ],
      },
    },
    { files: ['src/storage/drivers/**/*.ts'], rules: { 'no-restricted-globals': 'off' } },
  ],
});

export default config;
