import { defineConfig } from 'vitest/config'

const SERVERS = ['packages/testkit/src/global-setup.ts']
const SYSTEM = '**/*.system.test.ts'
const PURE = ['packages/contracts/test/**/*.test.ts', 'packages/core/test/**/*.test.ts', 'infra/**/*.test.ts']

export default defineConfig({
  test: {
    pool: 'forks',
    maxWorkers: 3,
    testTimeout: 60_000,
    hookTimeout: 120_000,
    teardownTimeout: 60_000,
    projects: [
      { extends: true, test: { name: 'pure', include: PURE, exclude: [SYSTEM], sequence: { groupOrder: 0 } } },
      {
        extends: true,
        test: {
          name: 'parts',
          include: ['apps/*/test/**/*.test.ts', 'packages/*/test/**/*.test.ts'],
          exclude: [SYSTEM, ...PURE],
          globalSetup: SERVERS,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'system',
          include: ['apps/*/test/**/*.system.test.ts', 'packages/*/test/**/*.system.test.ts'],
          globalSetup: SERVERS,
          fileParallelism: false,
          testTimeout: 300_000,
          hookTimeout: 180_000,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
})
