/** Which packages a package may import. The graph of the house: an arrow that is not here is a violation. */
export const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  'packages/contracts': [],
  'packages/core': ['packages/contracts'],
  'packages/store': ['packages/contracts', 'packages/core'],
  'packages/gate': ['packages/contracts', 'packages/core'],
  'packages/sandbox': ['packages/contracts', 'packages/core'],
  'packages/runtime': ['packages/contracts', 'packages/core'],
  'packages/engine': ['packages/contracts', 'packages/core', 'packages/gate', 'packages/store'],
  'apps/gateway': [
    'packages/contracts',
    'packages/core',
    'packages/engine',
    'packages/gate',
    'packages/runtime',
    'packages/store',
  ],
  'apps/worker': [
    'packages/contracts',
    'packages/core',
    'packages/engine',
    'packages/gate',
    'packages/runtime',
    'packages/sandbox',
    'packages/store',
  ],
  'apps/cli': ['packages/contracts', 'packages/core', 'packages/runtime', 'packages/store'],
  'packages/testkit': [
    'packages/contracts',
    'packages/core',
    'packages/engine',
    'packages/gate',
    'packages/runtime',
    'packages/sandbox',
    'packages/store',
  ],
  'packages/bench': [
    'packages/contracts',
    'packages/core',
    'packages/engine',
    'packages/gate',
    'packages/runtime',
    'packages/sandbox',
    'packages/store',
    'packages/testkit',
  ],
}

/** Packages of others that only some rooms may use; tests may use what they need to look from outside. */
export const RESERVED: readonly {
  readonly modules: RegExp
  readonly rooms: readonly string[]
  readonly why: string
}[] = [
  {
    modules: /^(ioredis|redis|bullmq)$/,
    rooms: ['packages/gate', 'packages/testkit', 'packages/bench'],
    why: 'only the gate speaks to Redis',
  },
  {
    modules: /^(pg|pg-.*|@prisma\/.*)$/,
    rooms: ['packages/store', 'packages/testkit', 'packages/bench'],
    why: 'only the store speaks to Postgres',
  },
  {
    modules: /^(hono|@hono\/.*|@bull-board\/.*)$/,
    rooms: ['apps/gateway', 'packages/testkit', 'packages/bench'],
    why: 'only the gateway serves HTTP',
  },
  {
    modules: /^(prom-client|@opentelemetry\/.*)$/,
    rooms: ['packages/runtime', 'packages/testkit', 'packages/bench'],
    why: 'metrics and traces go through the runtime, so that nothing else depends on how they are shown',
  },
]

/** What contracts may import beside its own files. */
export const CONTRACTS_MAY_IMPORT: readonly string[] = ['zod']

/** Rooms that may read the environment anywhere; in an app only `src/config.ts` may. */
export const MAY_READ_ENVIRONMENT: readonly string[] = ['packages/testkit', 'packages/bench']

export const DRAWERS: ReadonlySet<string> = new Set([
  'util',
  'utils',
  'helper',
  'helpers',
  'lib',
  'libs',
  'type',
  'types',
  'common',
  'misc',
])

export const TOP_LEVEL_FOLDERS: ReadonlySet<string> = new Set(['apps', 'packages', 'prisma', 'infra'])

export const TS_LINES_MAX = 400
export const LUA_LINES_MAX = 120
