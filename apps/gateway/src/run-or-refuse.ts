import type { Run } from '@muster/contracts'
import { AppError } from '@muster/core'
import { type Database, findRun } from '@muster/store'

/** A run of the workspace; throws `run_not_found` for any other. */
export async function runOrRefuse(database: Database, workspaceId: string, runId: string): Promise<Run> {
  const run = await findRun(database, workspaceId, runId)
  if (run === null) throw new AppError('run_not_found')
  return run
}
