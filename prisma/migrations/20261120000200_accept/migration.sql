-- Commits a batch of commands: task, run, first event, session, all or nothing. Ids are made by the caller, so that sending a batch
-- again inserts nothing twice. A batch never carries one idempotency key twice. What many commands have in common (their agent, class and
-- policy) comes once, as a template that the items name by its number. `p_look_up`: an item may be there already, or names a session or an
-- idempotency key, so that each is looked up; without it nothing but its agent is.
-- Outcomes: accepted, repeated (these very ids are there already), deduplicated, conflict, agent_not_found, agent_inactive, agent_stale
-- (another version than the caller resolved, or the session of the key is just being removed: prepare anew), session_not_found, session_mismatch.
CREATE FUNCTION accept_commands(p_templates json, p_items json, p_look_up boolean) RETURNS TABLE (
  ord integer, outcome text, task_id text, run_id text, session_id text, session_key text, run_order bigint, offerable boolean, not_before timestamptz,
  expires_at timestamptz, accepted_at timestamptz
)
LANGUAGE plpgsql SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_material = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
  v_new json := p_items;
  v_judged jsonb;
BEGIN
  IF p_look_up THEN
    v_judged := judge_commands(p_templates, p_items::jsonb);
    v_new := coalesce((SELECT json_agg(j) FROM jsonb_array_elements(v_judged) j WHERE j ->> 'verdict' = 'accepted'), '[]');
    RETURN QUERY
    SELECT j.ord, j.verdict, coalesce(j.old_task, j.task_id), coalesce(j.old_run, j.run_id), coalesce(j.old_session, j.session_id),
      j.session_key, NULL::bigint, false, greatest(j.not_before, now() + j.delay_ms * interval '1 millisecond'),
      least(j.expires_at, now() + j.ttl_ms * interval '1 millisecond'), now()
    FROM jsonb_to_recordset(v_judged) AS j (ord integer, verdict text, task_id text, run_id text, session_id text, session_key text,
      old_task text, old_run text, old_session text, not_before timestamptz, delay_ms bigint, expires_at timestamptz, ttl_ms bigint)
    WHERE j.verdict <> 'accepted';
  END IF;

  RETURN QUERY
  WITH template AS MATERIALIZED (
    SELECT t.*, CASE WHEN a.id IS NULL THEN 'agent_not_found' WHEN NOT a.active THEN 'agent_inactive'
                     WHEN a.version <> t.agent_version THEN 'agent_stale' ELSE 'accepted' END AS verdict
    FROM json_to_recordset(p_templates) AS t (template integer, workspace_id text, agent_id text, agent_key text, agent_version integer,
      job_name text, class_key text, pool text, lane text, policy jsonb, timeout_ms integer, max_attempts integer)
    LEFT JOIN agents a ON a.id = t.agent_id AND a.deleted_at IS NULL
  ), item AS MATERIALIZED (
    SELECT j.*, CASE WHEN j.verdict = 'accepted' THEN nextval('run_order') END AS new_order FROM (
      SELECT i.*, t.workspace_id, t.agent_id, t.agent_key, t.agent_version, t.job_name, t.class_key, t.pool, t.lane, t.policy, t.timeout_ms,
        t.max_attempts, t.verdict, greatest(i.not_before, now() + i.delay_ms * interval '1 millisecond') AS start_at,
        least(i.expires_at, now() + i.ttl_ms * interval '1 millisecond') AS end_at,
        coalesce(i.not_before > now(), false) OR coalesce(i.delay_ms > 0, false) AS later
      FROM json_to_recordset(v_new) AS i (
        ord integer, template integer, task_id text, run_id text, session_id text, session_key text, type text, label text, priority integer,
        metadata jsonb, idempotency_key text, fingerprint text, message text, extra_system_prompt text, not_before timestamptz, delay_ms bigint,
        expires_at timestamptz, ttl_ms bigint, traceparent text, attachments jsonb, attached jsonb)
      JOIN template t ON t.template = i.template ORDER BY i.ord) j
  ), tasked AS (
    INSERT INTO tasks (id, workspace_id, agent_id, agent_key, type, status, run_id, session_id, label, lane, priority, metadata, idempotency_key, fingerprint,
      attachments)
    SELECT i.task_id, i.workspace_id, i.agent_id, i.agent_key, i.type, task_status_of('queued', i.later), i.run_id, i.session_id, i.label, i.lane,
      i.priority, coalesce(i.metadata, '{}'), i.idempotency_key, decode(i.fingerprint, 'hex'), i.attachments
    FROM item i WHERE i.verdict = 'accepted'
  ), ran AS (
    INSERT INTO runs (id, task_id, task_type, workspace_id, agent_id, agent_key, agent_version, session_id, lane, class_key, pool, job_name, status,
      max_attempts, priority, run_order, session_order, scheduled, message, extra_system_prompt, policy, timeout_ms, not_before, expires_at,
      offerable_at, label, metadata, traceparent, attachments)
    SELECT i.run_id, i.task_id, i.type, i.workspace_id, i.agent_id, i.agent_key, i.agent_version, i.session_id, i.lane, i.class_key, i.pool,
      i.job_name, 'queued', i.max_attempts, i.priority, i.new_order, CASE WHEN i.session_id IS NOT NULL AND NOT i.later THEN i.new_order END,
      i.later, i.message, i.extra_system_prompt, i.policy, i.timeout_ms, i.start_at, i.end_at, now(), i.label, coalesce(i.metadata, '{}'), i.traceparent,
      i.attached
    FROM item i WHERE i.verdict = 'accepted'
  ), noted AS (
    INSERT INTO events (run_id, seq, type, data, snapshot, status)
    SELECT i.run_id, 1, 'run.queued', '{}', 1, 'queued' FROM item i WHERE i.verdict = 'accepted'
  )
  SELECT i.ord, i.verdict, i.task_id, i.run_id, i.session_id, i.session_key, i.new_order,
    i.verdict = 'accepted' AND (i.session_id IS NULL OR enter_session(i.session_id, i.run_id, i.later)), i.start_at, i.end_at, now()
  FROM item i;
END $$;

-- Looks each command up: makes the sessions that its session key needs, locks the sessions, and says what is to become of it. Answers the items,
-- each with its verdict (see accept_commands), its session, and the task and run that it is a repeat of.
CREATE FUNCTION judge_commands(p_templates json, p_items jsonb) RETURNS jsonb
LANGUAGE plpgsql SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_material = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  v_judged jsonb;
BEGIN
  -- one idempotency key is judged by one batch at a time; taken in one order, so that batches cannot lock each other out
  PERFORM pg_advisory_xact_lock(75, k.h) FROM (
    SELECT DISTINCT hashtext(i.workspace_id || i.agent_id || i.idempotency_key) AS h
    FROM commands_of(p_templates, p_items) i WHERE i.idempotency_key IS NOT NULL ORDER BY 1) k;

  INSERT INTO sessions (id, workspace_id, agent_id, agent_key, key)
  SELECT DISTINCT ON (i.workspace_id, i.agent_id, i.session_key) i.new_session_id, i.workspace_id, i.agent_id, i.agent_key, i.session_key
  FROM commands_of(p_templates, p_items) i
  JOIN agents a ON a.id = i.agent_id AND a.deleted_at IS NULL AND a.active AND a.version = i.agent_version
  WHERE i.session_key IS NOT NULL
    AND NOT EXISTS (SELECT FROM tasks t WHERE t.id = i.task_id)
    AND NOT EXISTS (SELECT FROM tasks t WHERE i.idempotency_key IS NOT NULL AND t.workspace_id = i.workspace_id
                    AND t.agent_id = i.agent_id AND t.idempotency_key = i.idempotency_key)
    AND NOT EXISTS (SELECT FROM sessions s WHERE s.workspace_id = i.workspace_id AND s.agent_id = i.agent_id AND s.key = i.session_key)
  ORDER BY i.workspace_id, i.agent_id, i.session_key, i.ord
  ON CONFLICT DO NOTHING;

  PERFORM 1 FROM sessions WHERE id IN (
    SELECT s.id FROM commands_of(p_templates, p_items) i JOIN sessions s ON s.id = i.session_id WHERE s.workspace_id = i.workspace_id
    UNION
    SELECT s.id FROM commands_of(p_templates, p_items) i
    JOIN sessions s ON s.workspace_id = i.workspace_id AND s.agent_id = i.agent_id AND s.key = i.session_key
  ) ORDER BY id FOR UPDATE;

  SELECT jsonb_agg((i.item - 'session_key') || jsonb_strip_nulls(jsonb_build_object('session_id', s.id, 'session_key', s.key,
      'old_task', t.id, 'old_run', t.run_id, 'old_session', t.session_id, 'verdict',
      CASE WHEN t.id = i.task_id THEN 'repeated'
           WHEN t.id IS NOT NULL THEN CASE WHEN t.fingerprint = decode(i.fingerprint, 'hex') THEN 'deduplicated' ELSE 'conflict' END
           WHEN a.id IS NULL THEN 'agent_not_found'
           WHEN NOT a.active THEN 'agent_inactive'
           WHEN a.version <> i.agent_version THEN 'agent_stale'
           WHEN i.session_id IS NOT NULL AND s.id IS NULL THEN 'session_not_found'
           WHEN i.session_id IS NOT NULL AND i.agent_id <> s.agent_id THEN 'session_mismatch'
           -- removed as unused after it was looked for above: prepared once more, the command gets a new one
           WHEN i.session_key IS NOT NULL AND s.id IS NULL THEN 'agent_stale'
           ELSE 'accepted' END)) ORDER BY i.ord) INTO v_judged
  FROM commands_of(p_templates, p_items) i
  LEFT JOIN LATERAL (
    SELECT t.id, t.run_id, t.session_id, t.fingerprint FROM tasks t WHERE t.id = i.task_id
    UNION ALL
    SELECT t.id, t.run_id, t.session_id, t.fingerprint FROM tasks t
    WHERE i.idempotency_key IS NOT NULL AND t.workspace_id = i.workspace_id AND t.agent_id = i.agent_id AND t.idempotency_key = i.idempotency_key
    LIMIT 1) t ON true
  LEFT JOIN agents a ON a.id = i.agent_id AND a.deleted_at IS NULL
  LEFT JOIN LATERAL (
    SELECT s.id, s.key, s.agent_id FROM sessions s WHERE s.id = i.session_id AND s.workspace_id = i.workspace_id
    UNION ALL
    SELECT s.id, s.key, s.agent_id FROM sessions s
    WHERE i.session_id IS NULL AND s.workspace_id = i.workspace_id AND s.agent_id = i.agent_id AND s.key = i.session_key
    LIMIT 1) s ON true;
  RETURN v_judged;
END $$;

-- What is needed to look commands up, each with its whole item.
CREATE FUNCTION commands_of(p_templates json, p_items jsonb) RETURNS TABLE (
  ord integer, item jsonb, task_id text, workspace_id text, agent_id text, agent_key text, agent_version integer, session_id text,
  session_key text, new_session_id text, idempotency_key text, fingerprint text
) LANGUAGE sql IMMUTABLE AS $$
  SELECT i.ord, e.item, i.task_id, t.workspace_id, t.agent_id, t.agent_key, t.agent_version, i.session_id, i.session_key, i.new_session_id,
    i.idempotency_key, i.fingerprint
  FROM jsonb_array_elements(p_items) AS e (item)
  CROSS JOIN LATERAL jsonb_to_record(e.item) AS i (ord integer, template integer, task_id text, session_id text, session_key text,
    new_session_id text, idempotency_key text, fingerprint text)
  JOIN json_to_recordset(p_templates) AS t (template integer, workspace_id text, agent_id text, agent_key text, agent_version integer)
    ON t.template = i.template
$$;

-- Enters a run into its session, whose row is locked: true when it is the one to start. A run that is due later has no place in the order yet.
CREATE FUNCTION enter_session(p_session text, p_run text, p_later boolean) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  v_current text;
BEGIN
  UPDATE sessions SET last_active_at = now(),
    current_run_id = CASE WHEN p_later THEN current_run_id ELSE coalesce(current_run_id, p_run) END,
    named_at = CASE WHEN current_run_id IS NULL AND NOT p_later THEN now() ELSE named_at END
  WHERE id = p_session RETURNING current_run_id INTO v_current;
  RETURN coalesce(v_current = p_run, false);
END $$;
