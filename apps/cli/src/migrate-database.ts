import { ConfigError } from '@muster/runtime'
import { bringUpToDate } from './bring-up-to-date.ts'
import type { Config } from './config.ts'
import type { Programs } from './fleet/programs.ts'

/** Brings the database of `DATABASE_URL` up to date and ends; several at once wait for each other. */
export async function migrateDatabase(config: Config, { migrations }: Programs): Promise<void> {
  if (config.databaseUrl === null) throw new ConfigError('the configuration is at fault:\n  DATABASE_URL: must be set')
  const applied = await bringUpToDate(config.databaseUrl, migrations)
  process.stdout.write(applied.length === 0 ? 'the database is up to date\n' : `applied: ${applied.join(', ')}\n`)
}
