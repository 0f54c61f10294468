import { failureSchema, type RunStatus, runStatusSchema, taskStatusSchema } from '@muster/contracts'
import { z } from 'zod'
import { execute, type Queryable } from './statement.ts'

const MESSAGE_CHARS = 500
const OUTPUT_CHARS = 4000
/** How far back the last progress is looked for. */
const PROGRESS_EVENTS = 200
const SCANNED_MAX = 20_000
const BOARD_OFFSET_MAX = 10_000
/** Among so many of the newest failed runs of a lane, of each status, are its dead letters looked for. */
const FAILED_SEEN_MAX = 10_000

const SHOWN = `r.id, r.task_id, r.session_id, r.workspace_id, r.agent_key, r.agent_version, r.lane, r.pool, r.job_name, r.status, r.scheduled,
  r.generation, r.attempt_number, r.max_attempts, r.priority, r.label, left(r.message, ${MESSAGE_CHARS}) AS message,
  length(r.message) > ${MESSAGE_CHARS} AS message_cut, r.node_id, r.accepted_at, r.queued_at, r.not_before, r.started_at, r.ended_at, r.cancel_requested_at,
  left(r.output::text, ${OUTPUT_CHARS}) AS output, r.failure, t.status AS task_status, t.run_id = r.id AS current,
  (SELECT e.data FROM (SELECT e.seq, e.type, e.data FROM noted_events e WHERE e.run_id = r.id ORDER BY e.seq DESC LIMIT ${PROGRESS_EVENTS}) e
    WHERE e.type = 'agent.progress' ORDER BY e.seq DESC LIMIT 1) AS progress`
const ROW = z.object({
  id: z.string(),
  task_id: z.string(),
  session_id: z.string().nullable(),
  workspace_id: z.string(),
  agent_key: z.string(),
  agent_version: z.int(),
  lane: z.string(),
  pool: z.string(),
  job_name: z.string(),
  status: runStatusSchema,
  scheduled: z.boolean(),
  generation: z.int(),
  attempt_number: z.int(),
  max_attempts: z.int(),
  priority: z.int(),
  label: z.string().nullable(),
  message: z.string(),
  message_cut: z.boolean(),
  node_id: z.string().nullable(),
  accepted_at: z.date(),
  queued_at: z.date(),
  not_before: z.date().nullable(),
  started_at: z.date().nullable(),
  ended_at: z.date().nullable(),
  cancel_requested_at: z.date().nullable(),
  output: z.string().nullable(),
  failure: failureSchema.nullable(),
  task_status: taskStatusSchema,
  current: z.boolean(),
  progress: z.object({ percent: z.number().optional(), text: z.string().optional() }).nullable().catch(null),
})

const ONE = {
  name: 'board_run',
  text: `SELECT ${SHOWN} FROM runs r JOIN tasks t ON t.id = r.task_id WHERE r.id = $1`,
  row: ROW,
}
/*
 * A lane's runs are asked for by a range of one name and in the order of the index by name: with an equality and the order of ids alone the
 * planner may walk the primary key instead, past the whole history.
 */
const QUEUED = {
  name: 'board_queued',
  text: `SELECT ${SHOWN} FROM (
      SELECT q.id FROM (
        SELECT job_name, id, scheduled FROM runs WHERE status = 'queued' AND job_name BETWEEN $1 AND $1 ORDER BY job_name, id LIMIT ${SCANNED_MAX}
      ) q WHERE q.scheduled = $2 ORDER BY q.job_name, q.id OFFSET $3 LIMIT $4
    ) p JOIN runs r ON r.id = p.id JOIN tasks t ON t.id = r.task_id ORDER BY r.id`,
  row: ROW,
}
/* What runs is found by its own small index, which knows no lanes. */
const ACTIVE = {
  name: 'board_active',
  text: `WITH held AS MATERIALIZED (SELECT id, job_name FROM runs WHERE status IN ('running', 'waiting'))
    SELECT ${SHOWN} FROM (SELECT h.id FROM held h WHERE h.job_name = $1 AND h.id <= $4 ORDER BY h.id DESC OFFSET $2 LIMIT $3) p
    JOIN runs r ON r.id = p.id JOIN tasks t ON t.id = r.task_id ORDER BY r.id DESC`,
  row: ROW,
}
/* The newest of each status are found by the index, then those of the page among them. */
const newest = (state: 'completed' | 'failed', statuses: readonly RunStatus[], most: string, where: string) => ({
  name: `board_${state}`,
  text: `SELECT ${SHOWN} FROM (
      SELECT n.id FROM (${statuses
        .map(
          (status) =>
            `(SELECT job_name, id, task_id FROM runs WHERE status = '${status}' AND job_name BETWEEN $1 AND $1 AND id <= $4 ORDER BY job_name DESC, id DESC LIMIT ${most})`,
        )
        .join(' UNION ALL ')}) n WHERE ${where} ORDER BY n.job_name DESC, n.id DESC OFFSET $2 LIMIT $3
    ) p JOIN runs r ON r.id = p.id JOIN tasks t ON t.id = r.task_id ORDER BY r.id DESC`,
  row: ROW,
})
const OTHERS = {
  active: ACTIVE,
  completed: newest('completed', ['succeeded', 'cancelled'], '$2::bigint + $3', 'true'),
  failed: newest(
    'failed',
    ['failed', 'timed_out'],
    String(FAILED_SEEN_MAX),
    `(SELECT t.run_id = n.id AND t.status = 'dead_letter' FROM tasks t WHERE t.id = n.task_id)`,
  ),
}
const LABELLED = {
  name: 'board_labelled',
  text: `SELECT ${SHOWN} FROM (
      SELECT l.id, l.label FROM runs l WHERE l.label COLLATE "C" >= $1 AND l.label COLLATE "C" < $2
      ORDER BY l.label COLLATE "C", l.id DESC LIMIT $3
    ) p JOIN runs r ON r.id = p.id JOIN tasks t ON t.id = r.task_id ORDER BY p.label COLLATE "C", r.id DESC`,
  row: ROW,
}
const OF_TASK = {
  name: 'board_of_task',
  text: `SELECT ${SHOWN} FROM tasks t CROSS JOIN LATERAL run_of_task(t) AS o (id) JOIN runs r ON r.id = o.id
    WHERE t.id = $1 ORDER BY r.id DESC LIMIT $2`,
  row: ROW,
}

/** A run as the board shows it: long texts are cut, and secrets that agents keep in their config are not there. */
export type BoardRun = z.infer<typeof ROW>
export type BoardState = 'waiting' | 'delayed' | 'active' | 'completed' | 'failed'

/** After every text that begins with a prefix. */
const LAST = '\u{10ffff}'

export const findBoardRun = async (on: Queryable, runId: string): Promise<BoardRun | null> =>
  (await execute(on, ONE, [runId]))[0] ?? null

/**
 * One page of a lane's runs: those to come in order of acceptance, all others from the newest, or from the run `from`. Past a bound there
 * is nothing.
 */
export function boardRuns(
  on: Queryable,
  lane: string,
  state: BoardState,
  page: { readonly offset: number; readonly limit: number; readonly from?: string | null },
): Promise<readonly BoardRun[]> {
  const { offset, limit, from } = page
  if (offset >= BOARD_OFFSET_MAX) return Promise.resolve([])
  return state === 'waiting' || state === 'delayed'
    ? execute(on, QUEUED, [lane, state === 'delayed', offset, limit])
    : execute(on, OTHERS[state], [lane, offset, limit, from ?? LAST])
}

/** Runs whose label begins with the text, the newest of each label first. */
export const labelledRuns = (on: Queryable, text: string, limit: number): Promise<readonly BoardRun[]> =>
  execute(on, LABELLED, [text, text + LAST, limit])

export const runsOfTask = (on: Queryable, taskId: string, limit: number): Promise<readonly BoardRun[]> =>
  execute(on, OF_TASK, [taskId, limit])
