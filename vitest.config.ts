import { defineConfig, type ViteUserConfig } from 'vitest/config';

/** Long tests of what a process takes by the system's own count, which is another thing beside other tests. */
const measured = ['test/long/memory.test.ts'];

const long = {
  globalSetup: ['test/support/build-once.ts', 'test/support/temporary-folder.ts'],
  testTimeout: 600_000,
  hookTimeout: 120_000,
};

const config: ViteUserConfig = defineConfig({
  test: {
    // By default one core is left idle: most tests wait for servers and for git.
    maxWorkers: 2,
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts'],
          globalSetup: ['test/support/temporary-folder.ts'],
          testTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
          globalSetup: ['test/support/build-once.ts', 'test/support/temporary-folder.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'long',
          include: ['test/long/**/*.test.ts'],
          exclude: measured,
          ...long,
        },
      },
      {
        test: {
          name: 'measured',
          include: measured,
          // When the others have ended: two processors are for what is measured and for its upstream.
          sequence: { groupOrder: 1 },
          ...long,
        },
      },
    ],
  },
});

export default config;
