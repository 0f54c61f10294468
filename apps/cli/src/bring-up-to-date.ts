import { migrate } from '@muster/store'
import { FleetError } from './fleet/fleet-error.ts'
import { reasonOf } from './fleet/reason-of.ts'

/** Applies the migrations that a database lacks and answers their names; what hinders it is said without a stack. */
export function bringUpToDate(databaseUrl: string, migrations: string): Promise<readonly string[]> {
  return migrate(databaseUrl, migrations).catch((error: unknown) => {
    throw new FleetError(`the database cannot be brought up to date: ${reasonOf(error)}`, { cause: error })
  })
}
