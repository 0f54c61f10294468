import type { System } from '../system.ts'
import { query } from './servers.ts'

/** What both systems are read by, so that they are measured alike: their tables have these columns under the same names. */
export function runsIn(
  databaseUrl: string,
  table: 'runs' | 'commands',
): Pick<System, 'ended' | 'drainSeconds' | 'begins'> {
  return {
    async ended() {
      const text = `SELECT count(*)::integer AS n FROM ${table} WHERE ended_at IS NOT NULL`
      const [row] = await query<{ n: number }>(databaseUrl, text)
      return row?.n ?? 0
    },
    async drainSeconds() {
      const text = `SELECT extract(epoch FROM max(ended_at) - min(started_at))::float8 AS seconds FROM ${table}`
      const [row] = await query<{ seconds: number }>(databaseUrl, text)
      return row?.seconds ?? 0
    },
    begins: () =>
      query(
        databaseUrl,
        `SELECT id, (output ->> 'began_at_ms')::float8 AS began_at_ms FROM ${table} WHERE output IS NOT NULL`,
      ),
  }
}
