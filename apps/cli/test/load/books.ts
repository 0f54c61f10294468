import pg from 'pg'

/** One attempt as Postgres tells it; times in epoch ms. */
export type AttemptLine = {
  readonly runId: string
  readonly sessionId: string | null
  readonly classKey: string
  readonly agentId: string
  readonly workspaceId: string
  readonly lane: string
  readonly sessionOrder: number | null
  readonly number: number
  readonly status: string
  readonly nodeId: string
  readonly startedMs: number
  readonly endedMs: number | null
}

/** What Postgres holds, read from outside the fleet. */
export class Books {
  readonly #pool: pg.Pool

  constructor(databaseUrl: string) {
    this.#pool = new pg.Pool({ connectionString: databaseUrl, max: 2, connectionTimeoutMillis: 5000 })
    this.#pool.on('error', () => undefined)
  }

  async query<Row extends pg.QueryResultRow>(sql: string, ...values: unknown[]): Promise<Row[]> {
    return (await this.#pool.query<Row>(sql, values)).rows
  }

  async unfinished(): Promise<number> {
    const [row] = await this.query<{ n: number }>(
      `SELECT count(*)::integer AS n FROM runs WHERE status IN ('queued', 'running', 'waiting')`,
    )
    return row?.n ?? 0
  }

  /** Every attempt, oldest first. */
  attempts(): Promise<AttemptLine[]> {
    return this.query(`SELECT a.run_id AS "runId", r.session_id AS "sessionId", r.class_key AS "classKey", r.agent_id AS "agentId",
        r.workspace_id AS "workspaceId", r.lane, r.session_order::float8 AS "sessionOrder", a.number, a.status, a.node_id AS "nodeId",
        (extract(epoch FROM a.started_at) * 1000)::float8 AS "startedMs", (extract(epoch FROM a.ended_at) * 1000)::float8 AS "endedMs"
      FROM attempts a JOIN runs r ON r.id = a.run_id ORDER BY a.started_at, a.run_id`)
  }

  /** Faults of the event logs: holes, duplicates, a run that did not end exactly once, a log that goes on after its end. */
  async eventFaults(): Promise<string[]> {
    const rows = await this.query<{ run_id: string; fault: string }>(`
      SELECT run_id, 'numbers are not 1..n' AS fault FROM events GROUP BY run_id HAVING count(*) <> max(seq) OR min(seq) <> 1
      UNION ALL
      SELECT run_id, 'ended ' || count(*) || ' times' FROM events WHERE type = 'run.finished' GROUP BY run_id HAVING count(*) <> 1
      UNION ALL
      SELECT e.run_id, 'goes on after its end' FROM events e JOIN events f ON f.run_id = e.run_id AND f.type = 'run.finished' AND e.seq > f.seq
      UNION ALL
      SELECT r.id, 'is ' || r.status || ' without an end' FROM runs r WHERE NOT EXISTS (SELECT FROM events f WHERE f.run_id = r.id AND f.type = 'run.finished')`)
    return rows.map((row) => `${row.run_id} ${row.fault}`)
  }

  close(): Promise<void> {
    return this.#pool.end()
  }
}

/** Pairs of attempts of one session that were under way at the same time. */
export function overlaps(attempts: readonly AttemptLine[]): string[] {
  return [...Map.groupBy(ofSessions(attempts), (line) => line.sessionId).values()].flatMap((lines) =>
    lines.flatMap((line, index) => {
      const before = lines[index - 1]
      return before !== undefined && (before.endedMs ?? Number.POSITIVE_INFINITY) > line.startedMs
        ? [`${before.runId}#${before.number} and ${line.runId}#${line.number}`]
        : []
    }),
  )
}

/** Runs that started before an earlier one of their session. */
export function outOfOrder(attempts: readonly AttemptLine[]): string[] {
  const firsts = ofSessions(attempts).filter((line) => line.number === 1)
  return [...Map.groupBy(firsts, (line) => line.sessionId).values()].flatMap((lines) =>
    lines.flatMap((line, index) => {
      const before = lines[index - 1]
      return before !== undefined && (before.sessionOrder ?? 0) > (line.sessionOrder ?? 0)
        ? [`${line.runId} after ${before.runId}`]
        : []
    }),
  )
}

/** The most attempts that were under way at once, by whatever `keyOf` groups by. */
export function peaks(
  attempts: readonly AttemptLine[],
  keyOf: (line: AttemptLine) => string,
): ReadonlyMap<string, number> {
  const found = new Map<string, number>()
  for (const [key, lines] of Map.groupBy(attempts, keyOf)) {
    const steps = lines.flatMap((line) => [
      { at: line.startedMs, step: 1 },
      { at: line.endedMs ?? Number.POSITIVE_INFINITY, step: -1 },
    ])
    // an end and a start at one moment are a hand-over
    steps.sort((one, other) => one.at - other.at || one.step - other.step)
    let now = 0
    let most = 0
    for (const { step } of steps) {
      now += step
      most = Math.max(most, now)
    }
    found.set(key, most)
  }
  return found
}

const ofSessions = (attempts: readonly AttemptLine[]): readonly AttemptLine[] =>
  attempts.filter((line) => line.sessionId !== null)
