import { z } from 'zod'
import { firstIdAt } from './first-id-at.ts'
import { execute, executeOne, type Queryable } from './statement.ts'

const page = z.object({
  answer: z.object({ removed: z.int(), next: z.string().nullable() }).nullable(),
})
const TASKS = { name: 'remove_tasks', text: 'SELECT remove_tasks($1, $2, $3, $4) AS answer', row: page }
const SESSIONS = { name: 'remove_sessions', text: 'SELECT remove_sessions($1, $2, $3, $4) AS answer', row: page }
const CLASSES = { name: 'remove_classes', text: 'SELECT remove_classes($1, $2, $3) AS answer', row: page }
const LEFTOVERS = {
  name: 'remove_leftovers',
  text: 'SELECT remove_leftovers($1) AS rows',
  row: z.object({ rows: z.int().nullable() }),
}
const FOLDERS = {
  name: 'removed_folders',
  text: 'SELECT name FROM removed_folders WHERE name > $1 ORDER BY name LIMIT $2',
  row: z.object({ name: z.string() }),
}
const FORGET = {
  name: 'forget_folders',
  text: 'DELETE FROM removed_folders WHERE name = ANY ($1)',
  row: z.object({}),
}
const DAY_MS = 86_400_000

export type RemovalPage = {
  readonly after: string
  /** What ended, or was used, at least so long ago goes. */
  readonly days: number
  readonly limit: number
}
/** How many went, and where to go on; `next` is null at the end. Null: another process is at it. */
export type Removal = { readonly removed: number; readonly next: string | null } | null

/** Ids carry their time, so that only what is old enough is looked at; whether it goes is decided by the clock of Postgres. */
const oldest = (kind: 'task' | 'session', days: number): string => firstIdAt(kind, new Date(Date.now() - days * DAY_MS))

/** Removes tasks that ended long ago, with their runs, among the next `limit` by id. What is left of the runs goes by `removeLeftovers`. */
export const removeTasks = async (on: Queryable, { after, days, limit }: RemovalPage): Promise<Removal> =>
  (await executeOne(on, TASKS, [after, oldest('task', days), days, limit])).answer

/** Removes sessions that nothing names, used long ago and empty, among the next `limit` by id. */
export const removeSessions = async (on: Queryable, { after, days, limit }: RemovalPage): Promise<Removal> =>
  (await executeOne(on, SESSIONS, [after, oldest('session', days), days, limit])).answer

/** Removes execution classes without settings, used long ago and empty, among the next `limit` by key. */
export const removeClasses = async (on: Queryable, { after, days, limit }: RemovalPage): Promise<Removal> =>
  (await executeOne(on, CLASSES, [after, days, limit])).answer

/** Removes events and attempts of runs that are gone, about `limit` rows; answers how many. Null: another process is at it. */
export const removeLeftovers = async (on: Queryable, limit: number): Promise<number | null> =>
  (await executeOne(on, LEFTOVERS, [limit])).rows

/** Names of folders, of sessions and runs that are gone, after a name. */
export const removedFolders = async (on: Queryable, after: string, limit: number): Promise<readonly string[]> =>
  (await execute(on, FOLDERS, [after, limit])).map((row) => row.name)

/** Says that these folders are deleted. */
export async function forgetFolders(on: Queryable, names: readonly string[]): Promise<void> {
  await execute(on, FORGET, [names])
}
