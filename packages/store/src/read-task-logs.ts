import { type LogLine, logLineSchema } from '@muster/contracts'
import { z } from 'zod'
import { execute, type Queryable } from './statement.ts'
import { timestamp } from './timestamp.ts'

/** How many events, and how many runs, one call looks at for log lines: what it costs does not depend on how much else an agent said. */
const EVENTS_MAX = 5000
const RUNS_MAX = 20

const RUNS = {
  name: 'log_runs',
  text: `SELECT r.id, r.last_seq FROM tasks t CROSS JOIN LATERAL run_of_task(t) AS o (id) JOIN runs r ON r.id = o.id
    WHERE t.id = $1 AND r.run_order >= coalesce((SELECT run_order FROM runs WHERE id = $2 AND task_id = $1), 0)
    ORDER BY r.run_order LIMIT ${RUNS_MAX + 1}`,
  row: z.object({ id: z.string(), last_seq: z.int() }),
}
const LINES = {
  name: 'log_lines',
  text: `SELECT run_id, attempt, seq, at, data ->> 'stream' AS stream, data ->> 'text' AS text FROM noted_events
    WHERE run_id = $1 AND seq > $2 AND seq <= $3 AND type = 'agent.log' ORDER BY seq LIMIT $4`,
  row: logLineSchema.extend({ at: timestamp }),
}

/** A place between two events of a task: after the event `seq` of the run. */
export type LogPlace = { readonly runId: string; readonly seq: number }

export type LogPage = {
  readonly lines: readonly LogLine[]
  /** After the last event that was looked at; null when there was none. */
  readonly next: LogPlace | null
  /** There is more now: lines, or events that were not looked at yet. */
  readonly more: boolean
}

/**
 * At most `limit` log lines of all runs of a task after a place, run by run, each in its order. Null when the place is not one of this
 * task. A page may be short, even empty, while there is more.
 */
export async function readTaskLogs(
  on: Queryable,
  taskId: string,
  after: LogPlace | null,
  limit: number,
): Promise<LogPage | null> {
  const runs = await execute(on, RUNS, [taskId, after?.runId ?? null])
  if (after !== null && runs[0]?.id !== after.runId) return null
  const lines: LogLine[] = []
  let next = after
  let looksLeft = EVENTS_MAX
  for (const { id, last_seq } of runs.slice(0, RUNS_MAX)) {
    const from = after?.runId === id ? after.seq : 0
    const until = Math.min(last_seq, from + looksLeft)
    const wanted = limit - lines.length
    const found = until <= from ? [] : await execute(on, LINES, [id, from, until, wanted + 1])
    lines.push(...found.slice(0, wanted))
    if (found.length > wanted) return { lines, next: placeOf(lines.at(-1)) ?? next, more: true }
    next = { runId: id, seq: Math.max(until, from) }
    if (until < last_seq) return { lines, next, more: true }
    looksLeft -= Math.max(0, until - from)
  }
  return { lines, next, more: runs.length > RUNS_MAX }
}

const placeOf = (line: LogLine | undefined): LogPlace | null =>
  line === undefined ? null : { runId: line.run_id, seq: line.seq }
