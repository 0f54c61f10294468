import type { StagedFleet } from './staged-fleet.ts'

/** A limit as the outside sees it: `workspace`, `agent <id>`, `lane <agent id>/<lane>` or `class <key>`, and what may run there at once. */
export type Caps = Map<string, number>

type Running = {
  readonly id: string
  readonly agent_id: string
  readonly lane: string
  readonly class_key: string
  readonly session_id: string | null
}

const placesOf = (run: Pick<Running, 'agent_id' | 'lane' | 'class_key'>): readonly string[] => [
  'workspace',
  `agent ${run.agent_id}`,
  `lane ${run.agent_id}/${run.lane}`,
  `class ${run.class_key}`,
]

export async function runningByPlace(fleet: StagedFleet): Promise<ReadonlyMap<string, number>> {
  const { rows } = await fleet.database.pool.query<Running>(
    `SELECT id, agent_id, lane, class_key, session_id FROM runs WHERE status IN ('running', 'waiting')`,
  )
  const counts = new Map<string, number>()
  for (const run of rows) for (const place of placesOf(run)) counts.set(place, (counts.get(place) ?? 0) + 1)
  return counts
}

/** What must hold at every moment, seen from outside; answers what does not. */
export function createWatch(fleet: StagedFleet, caps: Caps) {
  const ended = new Map<string, string>()
  const sql = async (text: string) => (await fleet.database.pool.query(text)).rows

  async function look(): Promise<readonly string[]> {
    const faults: string[] = []
    for (const [place, running] of await runningByPlace(fleet)) {
      const cap = caps.get(place)
      if (cap !== undefined && running > cap) faults.push(`${place} runs ${running} at once, ${cap} are allowed`)
    }
    for (const row of await sql(
      `SELECT id, md5(runs::text) AS print FROM runs WHERE ended_at IS NOT NULL ORDER BY ended_at DESC LIMIT 500`,
    )) {
      const before = ended.get(row.id)
      if (before !== undefined && before !== row.print) faults.push(`run ${row.id} changed after its end`)
      ended.set(row.id, row.print)
    }
    return faults
  }

  /** What must hold of the whole history once nothing is under way; `ends`: those that a worker was told were taken. */
  async function judge(
    ends: readonly { readonly runId: string; readonly generation: number }[],
  ): Promise<readonly string[]> {
    const strangers = await sql(`
      SELECT e.run_id || ' has an event of generation ' || (e.data ->> 'text') || ' in the attempt of generation ' || a.generation AS fault
      FROM events e JOIN attempts a ON a.run_id = e.run_id AND a.number = e.attempt
      WHERE e.type = 'agent.log' AND e.data ->> 'text' <> a.generation::text`)
    const usurped: string[] = []
    for (const { runId, generation } of ends) {
      const { rows } = await fleet.database.pool.query(
        'SELECT status FROM attempts WHERE run_id = $1 AND generation = $2',
        [runId, generation],
      )
      if (rows.length !== 1 || rows[0].status === 'lost' || rows[0].status === 'running')
        usurped.push(`${runId}/${generation} was ended by a worker that had lost it`)
    }
    const holes = await sql(`
      SELECT run_id || ' has a hole or a double among its events' AS fault FROM events e JOIN runs r ON r.id = e.run_id
      GROUP BY run_id, r.last_seq HAVING count(*) <> r.last_seq OR max(seq) <> r.last_seq OR min(seq) <> 1`)
    const mixed = await sql(`
      SELECT DISTINCT run_id || ' has events of an earlier attempt after those of a later one' AS fault FROM (
        SELECT run_id, attempt, max(attempt) OVER (PARTITION BY run_id ORDER BY seq) AS highest FROM events) e WHERE attempt < highest`)
    const endings = await sql(`
      SELECT r.id || ' is ' || r.status || ' and was told as finished ' || count(e.seq) || ' times' AS fault
      FROM runs r LEFT JOIN events e ON e.run_id = r.id AND e.type = 'run.finished' GROUP BY r.id
      HAVING count(e.seq) <> 1 OR r.status NOT IN ('succeeded', 'failed', 'timed_out', 'cancelled')`)
    const overlaps = await sql(`
      SELECT 'session ' || a.session_id || ' ran ' || a.run_id || ' while or after ' || b.run_id || ', out of order' AS fault
      FROM attempts a JOIN runs ra ON ra.id = a.run_id
      JOIN attempts b ON b.session_id = a.session_id AND b.run_id <> a.run_id JOIN runs rb ON rb.id = b.run_id
      WHERE ra.session_order < rb.session_order AND b.started_at < coalesce(a.ended_at, 'infinity')`)
    const attempts = await sql(`
      SELECT a.run_id || ' attempt ' || a.number || ' is still open' AS fault FROM attempts a WHERE a.status = 'running'`)
    return [
      ...usurped,
      ...[strangers, holes, mixed, endings, overlaps, attempts].flat().map((row): string => row.fault),
    ]
  }

  return { look, judge }
}
