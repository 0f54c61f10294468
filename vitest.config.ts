import { defineConfig } from 'vitest/config'

const SERVERS = ['packages/testkit/src/global-setup.ts']
const SYSTEM = '**/*.system.test.ts'
const TIMED = '**/*.timed.test.ts'
const SET_UP = 'infra/bootstrap.test.ts'
const OF_PACKAGES = ['packages/contracts/test/**/*.test.ts', 'packages/core/test/**/*.test.ts']
const PURE = [...OF_PACKAGES, 'infra/**/*.test.ts']

export default defineConfig({
  test: {
    pool: 'forks',
    testTimeout: 60_000,
    hookTimeout: 120_000,
    teardownTimeout: 60_000,
    projects: [
      {
        extends: true,
        test: {
          name: 'pure',
          include: PURE,
          exclude: [SYSTEM, TIMED, SET_UP],
          maxWorkers: 3,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'parts',
          include: ['apps/*/test/**/*.test.ts', 'packages/*/test/**/*.test.ts', SET_UP],
          exclude: [SYSTEM, TIMED, ...OF_PACKAGES],
          globalSetup: SERVERS,
          // one process for many files: to load our modules anew for each cost a third of all
          isolate: false,
          maxWorkers: 3,
          sequence: { groupOrder: 0 },
        },
      },
      {
        // whole fleets, which mostly wait
        extends: true,
        test: {
          name: 'system',
          include: ['apps/*/test/**/*.system.test.ts', 'packages/*/test/**/*.system.test.ts'],
          globalSetup: SERVERS,
          testTimeout: 300_000,
          hookTimeout: 180_000,
          maxWorkers: 3,
          sequence: { groupOrder: 1 },
        },
      },
      {
        // whole fleets with the machine for themselves, since what they promise is told in seconds
        extends: true,
        test: {
          name: 'timed',
          include: ['apps/*/test/**/*.timed.test.ts'],
          globalSetup: SERVERS,
          testTimeout: 300_000,
          hookTimeout: 180_000,
          fileParallelism: false,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
})
