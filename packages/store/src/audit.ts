import { z } from 'zod'
import { execute, type Queryable } from './statement.ts'

const FINDINGS = {
  name: 'audit',
  text: `
    SELECT 'session_overlap' AS code, min(id) AS run_id, 'session ' || session_id || ' holds ' || count(*) || ' runs' AS detail
      FROM runs WHERE status IN ('running', 'waiting') AND session_id IS NOT NULL GROUP BY session_id HAVING count(*) > 1
    UNION ALL
    SELECT 'session_stuck', min(r.id), 'session ' || s.id || ' has queued runs and no current one'
      FROM sessions s JOIN runs r ON r.session_id = s.id AND r.status = 'queued' AND r.session_order IS NOT NULL
      LEFT JOIN runs c ON c.id = s.current_run_id
      WHERE c.id IS NULL OR c.status NOT IN ('queued', 'running', 'waiting') GROUP BY s.id
    UNION ALL
    SELECT 'run_on_dead_node', r.id, 'node ' || r.node_id || ' is ' || coalesce(n.status, 'unknown') || ' since ' || coalesce(n.last_beat_at::text, 'ever')
      FROM runs r LEFT JOIN nodes n ON n.id = r.node_id
      WHERE r.status IN ('running', 'waiting') AND (n.id IS NULL OR (n.status IN ('inactive', 'disconnected') AND n.last_beat_at < now() - interval '15 seconds'))
    UNION ALL
    SELECT 'task_run_mismatch', r.id, 'task ' || t.id || ' is ' || t.status || ', its run is ' || r.status
      FROM (SELECT * FROM tasks ORDER BY id DESC LIMIT 20000) t JOIN runs r ON r.id = t.run_id
      WHERE t.status <> task_status_of(r.status, r.scheduled) AND t.status NOT IN ('blocked', 'claimed')
        AND NOT (t.status IN ('scheduled', 'pending') AND r.status = 'queued')
    UNION ALL
    SELECT 'event_hole', r.id, 'has ' || e.n || ' events, the last is ' || e.last || ', the run says ' || r.last_seq
      FROM (SELECT id, last_seq FROM runs WHERE status IN ('running', 'waiting') OR ended_at > now() - interval '10 minutes'
            ORDER BY id DESC LIMIT 20000) r
      -- run by run, so that each part of the view is read by its key
      CROSS JOIN LATERAL (SELECT count(*) AS n, count(DISTINCT seq) AS numbers, max(seq) AS last, min(seq) AS first
                          FROM events WHERE run_id = r.id) e
      WHERE e.n <> e.numbers OR e.n <> e.last OR e.first <> 1 OR e.last <> r.last_seq
    LIMIT 1000`,
  row: z.object({
    code: z.enum(['session_overlap', 'session_stuck', 'run_on_dead_node', 'task_run_mismatch', 'event_hole']),
    run_id: z.string().nullable(),
    detail: z.string(),
  }),
}
export type Finding = z.infer<typeof FINDINGS.row>

/** What Postgres alone shows to be wrong, in one snapshot. For operators: it reads what is queued or held, and the newest 20,000 tasks and logs. */
export const auditStore = (on: Queryable): Promise<Finding[]> => execute(on, FINDINGS, [])
