import { eventTypeSchema, keptObjectSchema, type RunEvent, type RunStatus, runStatusSchema } from '@muster/contracts'
import { z } from 'zod'
import { execute, type Queryable } from './statement.ts'
import { timestamp } from './timestamp.ts'

const EVENTS = {
  name: 'read_events',
  text: 'SELECT seq, run_id, attempt, type, at, data FROM events WHERE run_id = $1 AND seq > $2 ORDER BY seq LIMIT $3',
  row: z.object({
    seq: z.int(),
    run_id: z.string(),
    attempt: z.int().nullable(),
    type: eventTypeSchema,
    at: timestamp,
    data: keptObjectSchema,
  }),
}
const LOG = {
  name: 'run_log',
  text: 'SELECT id, task_id, status, last_seq FROM runs WHERE workspace_id = $1 AND id = $2',
  row: z.object({ id: z.string(), task_id: z.string(), status: runStatusSchema, last_seq: z.int() }),
}
const AHEAD = {
  name: 'runs_ahead_of',
  text: `SELECT w.id, r.id IS NULL AS gone FROM unnest($1::text[], $2::integer[]) AS w (id, seq)
    LEFT JOIN runs r ON r.id = w.id WHERE r.id IS NULL OR r.last_seq > w.seq`,
  row: z.object({ id: z.string(), gone: z.boolean() }),
}

/** The log of a run: how far it reaches and, by its status, whether anything can follow. */
export type RunLog = {
  readonly id: string
  readonly taskId: string
  readonly status: RunStatus
  readonly lastSeq: number
}

export async function findRunLog(on: Queryable, workspaceId: string, runId: string): Promise<RunLog | null> {
  const [row] = await execute(on, LOG, [workspaceId, runId])
  return row === undefined ? null : { id: row.id, taskId: row.task_id, status: row.status, lastSeq: row.last_seq }
}

/** At most `limit` events of a run after a number, in order. */
export const readEvents = (
  on: Queryable,
  runId: string,
  afterSeq: number,
  limit: number,
): Promise<readonly RunEvent[]> => execute(on, EVENTS, [runId, afterSeq, limit])

/** Which of the runs have events after the number that each is known to, and which were removed. */
export const runsAheadOf = async (
  on: Queryable,
  known: ReadonlyMap<string, number>,
): Promise<readonly z.infer<typeof AHEAD.row>[]> =>
  known.size === 0 ? [] : execute(on, AHEAD, [[...known.keys()], [...known.values()]])
