-- Commits a batch of commands: task, run, first event, session, all or nothing. Ids are made by the caller, so that sending a batch
-- again inserts nothing twice. A batch never carries one idempotency key twice.
-- Outcomes: accepted, repeated (these very ids are there already), deduplicated, conflict, agent_not_found, agent_inactive, agent_stale
-- (another version than the caller resolved, or the session of the key is just being removed: prepare anew), session_not_found, session_mismatch.
CREATE FUNCTION accept_commands(p_items jsonb) RETURNS TABLE (
  ord integer, outcome text, task_id text, run_id text, session_id text, session_key text, run_order bigint, offerable boolean, not_before timestamptz,
  expires_at timestamptz, accepted_at timestamptz
)
LANGUAGE plpgsql SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_material = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
  v_keyed boolean;
  v_sessions boolean;
BEGIN
  SELECT bool_or(i ? 'idempotency_key'), bool_or(i ? 'session_key' OR i ? 'session_id') INTO v_keyed, v_sessions
  FROM jsonb_array_elements(p_items) i;
  IF v_keyed THEN
    -- one idempotency key is judged by one batch at a time; taken in one order, so that batches cannot lock each other out
    PERFORM pg_advisory_xact_lock(75, k.h) FROM (
      SELECT DISTINCT hashtext(i.workspace_id || i.agent_id || i.idempotency_key) AS h
      FROM jsonb_to_recordset(p_items) AS i (workspace_id text, agent_id text, idempotency_key text)
      WHERE i.idempotency_key IS NOT NULL ORDER BY 1) k;
  END IF;

  IF v_sessions THEN
    INSERT INTO sessions (id, workspace_id, agent_id, agent_key, key)
    SELECT DISTINCT ON (i.workspace_id, i.agent_id, i.session_key) i.new_session_id, i.workspace_id, i.agent_id, i.agent_key, i.session_key
    FROM jsonb_to_recordset(p_items) AS i (ord integer, task_id text, workspace_id text, agent_id text, agent_key text, agent_version integer,
      session_key text, new_session_id text, idempotency_key text)
    JOIN agents a ON a.id = i.agent_id AND a.deleted_at IS NULL AND a.active AND a.version = i.agent_version
    WHERE i.session_key IS NOT NULL
      AND NOT EXISTS (SELECT FROM tasks t WHERE t.id = i.task_id)
      AND NOT EXISTS (SELECT FROM tasks t WHERE i.idempotency_key IS NOT NULL AND t.workspace_id = i.workspace_id
                      AND t.agent_id = i.agent_id AND t.idempotency_key = i.idempotency_key)
      AND NOT EXISTS (SELECT FROM sessions s WHERE s.workspace_id = i.workspace_id AND s.agent_id = i.agent_id AND s.key = i.session_key)
    ORDER BY i.workspace_id, i.agent_id, i.session_key, i.ord
    ON CONFLICT DO NOTHING;

    PERFORM 1 FROM sessions WHERE id IN (
      SELECT s.id FROM jsonb_to_recordset(p_items) AS i (workspace_id text, session_id text) JOIN sessions s ON s.id = i.session_id
      WHERE s.workspace_id = i.workspace_id
      UNION
      SELECT s.id FROM jsonb_to_recordset(p_items) AS i (workspace_id text, agent_id text, session_key text)
      JOIN sessions s ON s.workspace_id = i.workspace_id AND s.agent_id = i.agent_id AND s.key = i.session_key
    ) ORDER BY id FOR UPDATE;
  END IF;

  RETURN QUERY
  WITH item AS MATERIALIZED (
    SELECT i.*, greatest(i.not_before, now() + i.delay_ms * interval '1 millisecond') AS start_at,
      least(i.expires_at, now() + i.ttl_ms * interval '1 millisecond') AS end_at,
      CASE WHEN i.session_id IS NOT NULL THEN (SELECT s.id FROM sessions s WHERE s.id = i.session_id AND s.workspace_id = i.workspace_id)
           WHEN i.session_key IS NOT NULL THEN (SELECT s.id FROM sessions s WHERE s.workspace_id = i.workspace_id
                                                AND s.agent_id = i.agent_id AND s.key = i.session_key) END AS sid
    FROM jsonb_to_recordset(p_items) AS i (
      ord integer, task_id text, run_id text, workspace_id text, agent_id text, agent_key text, agent_version integer, job_name text,
      class_key text, pool text, lane text, session_id text, session_key text, type text, label text, priority integer, metadata jsonb,
      idempotency_key text, fingerprint text, message text, extra_system_prompt text, policy jsonb, timeout_ms integer,
      max_attempts integer, not_before timestamptz, delay_ms bigint, expires_at timestamptz, ttl_ms bigint, traceparent text,
      attachments jsonb, attached jsonb)
  ), judged AS MATERIALIZED (
    SELECT i.*, t.id AS old_task, t.run_id AS old_run, t.session_id AS old_session,
      CASE WHEN t.id = i.task_id THEN 'repeated'
           WHEN t.id IS NOT NULL THEN CASE WHEN t.fingerprint = decode(i.fingerprint, 'hex') THEN 'deduplicated' ELSE 'conflict' END
           WHEN a.id IS NULL THEN 'agent_not_found'
           WHEN NOT a.active THEN 'agent_inactive'
           WHEN a.version <> i.agent_version THEN 'agent_stale'
           WHEN i.session_id IS NOT NULL AND i.sid IS NULL THEN 'session_not_found'
           WHEN i.session_id IS NOT NULL AND i.agent_id <> (SELECT s.agent_id FROM sessions s WHERE s.id = i.sid) THEN 'session_mismatch'
           -- removed as unused after it was looked for above: prepared once more, the command gets a new one
           WHEN i.session_key IS NOT NULL AND i.sid IS NULL THEN 'agent_stale'
           ELSE 'accepted' END AS verdict
    FROM item i
    LEFT JOIN LATERAL (
      SELECT t.id, t.run_id, t.session_id, t.fingerprint FROM tasks t WHERE t.id = i.task_id
      UNION ALL
      SELECT t.id, t.run_id, t.session_id, t.fingerprint FROM tasks t
      WHERE i.idempotency_key IS NOT NULL AND t.workspace_id = i.workspace_id AND t.agent_id = i.agent_id AND t.idempotency_key = i.idempotency_key
      LIMIT 1) t ON true
    LEFT JOIN agents a ON a.id = i.agent_id AND a.deleted_at IS NULL
  ), fresh AS MATERIALIZED (
    SELECT j.*, nextval('run_order') AS new_order, coalesce(j.start_at > now(), false) AS later
    FROM (SELECT * FROM judged WHERE verdict = 'accepted' ORDER BY ord) j
  ), tasked AS (
    INSERT INTO tasks (id, workspace_id, agent_id, agent_key, type, status, run_id, session_id, label, lane, priority, metadata, idempotency_key, fingerprint,
      attachments)
    SELECT f.task_id, f.workspace_id, f.agent_id, f.agent_key, f.type, task_status_of('queued', f.later), f.run_id, f.sid, f.label, f.lane,
      f.priority, f.metadata, f.idempotency_key, decode(f.fingerprint, 'hex'), f.attachments FROM fresh f
  ), ran AS (
    INSERT INTO runs (id, task_id, workspace_id, agent_id, agent_key, agent_version, session_id, lane, class_key, pool, job_name, status,
      max_attempts, priority, run_order, session_order, scheduled, message, extra_system_prompt, policy, timeout_ms, not_before, expires_at,
      offerable_at, label, metadata, traceparent, attachments)
    SELECT f.run_id, f.task_id, f.workspace_id, f.agent_id, f.agent_key, f.agent_version, f.sid, f.lane, f.class_key, f.pool, f.job_name, 'queued',
      f.max_attempts, f.priority, f.new_order, CASE WHEN f.sid IS NOT NULL AND NOT f.later THEN f.new_order END, f.later, f.message,
      f.extra_system_prompt, f.policy, f.timeout_ms, f.start_at, f.end_at, CASE WHEN f.sid IS NULL THEN now() END, f.label, f.metadata, f.traceparent,
      f.attached
    FROM fresh f
  ), noted AS (
    INSERT INTO events (run_id, seq, type, data, snapshot, status) SELECT f.run_id, 1, 'run.queued', '{}', 1, 'queued' FROM fresh f
  ), named AS (
    UPDATE sessions s SET current_run_id = coalesce(s.current_run_id, n.first_run), last_active_at = now(),
      named_at = CASE WHEN s.current_run_id IS NULL AND n.first_run IS NOT NULL THEN now() ELSE s.named_at END
    FROM (SELECT f.sid, (array_agg(f.run_id ORDER BY f.ord) FILTER (WHERE NOT f.later))[1] AS first_run
          FROM fresh f WHERE f.sid IS NOT NULL GROUP BY f.sid) n
    WHERE s.id = n.sid RETURNING s.id, s.current_run_id
  )
  SELECT j.ord, j.verdict, coalesce(j.old_task, j.task_id), coalesce(j.old_run, j.run_id), coalesce(j.old_session, j.sid),
    (SELECT s.key FROM sessions s WHERE s.id = j.sid), f.new_order, f.run_id IS NOT NULL AND (f.sid IS NULL OR coalesce(n.current_run_id = f.run_id, false)), j.start_at, j.end_at, now()
  FROM judged j LEFT JOIN fresh f ON f.ord = j.ord LEFT JOIN named n ON n.id = f.sid
  ORDER BY j.ord;
END $$;
