import { ConfigError } from '@muster/runtime'
import { readConfig } from './config.ts'
import { FleetError } from './fleet/fleet-error.ts'
import { PROGRAMS } from './fleet/programs.ts'
import { HomeInUseError } from './home/lock-home.ts'
import { migrateDatabase } from './migrate-database.ts'
import { up } from './up.ts'

const USAGE = `usage: muster up | migrate

  up       starts the whole fleet on this machine: Postgres, Redis, a gateway and workers
  migrate  brings the database of DATABASE_URL up to date

Settings come from the environment: MUSTER_HOME, MUSTER_PORT, MUSTER_WORKERS, MUSTER_SLOTS, MUSTER_POOLS, DATABASE_URL, REDIS_URL.
`

const COMMANDS = new Map([
  ['up', up],
  ['migrate', migrateDatabase],
])

const [command = '', ...rest] = process.argv.slice(2)
const run = rest.length === 0 ? COMMANDS.get(command) : undefined
if (run !== undefined) {
  try {
    await run(readConfig(), PROGRAMS)
  } catch (error) {
    if (error instanceof ConfigError) fail(error.message, 2)
    else if (error instanceof FleetError || error instanceof HomeInUseError) fail(error.message, 1)
    else fail(error instanceof Error ? (error.stack ?? error.message) : String(error), 1)
  }
} else {
  const asked = command === 'help' || command === '--help'
  process[asked ? 'stdout' : 'stderr'].write(USAGE)
  process.exitCode = asked ? 0 : 2
}

function fail(message: string, exitCode: 1 | 2): never {
  process.stderr.write(`muster: ${message}\n`)
  process.exit(exitCode)
}
