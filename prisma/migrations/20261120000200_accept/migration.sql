-- Commits a batch of commands: task, run, session, all or nothing. Ids are made by the caller, so that sending a batch
-- again inserts nothing twice. A batch never carries one idempotency key twice. The commands come column by column: a statement prepares
-- what it reads anew each time, so what nearly none has is gathered in one.
-- `p_templates`: what many commands have in common, each {workspace, agent, agent key, agent version, job name, class key, pool, lane, timeout,
-- attempts, type, priority, number of its policy}; `p_policies`: the policies, each once. `p_agents` and `p_versions`: each agent and version
-- of them once. `p_likes`: the template of each command. `p_more`: what else it has, null for nothing, an empty array where none has anything: label, metadata, session_id,
-- session_key, new_session_id, idempotency_key, fingerprint, extra_system_prompt, not_before, delay_ms, expires_at, ttl_ms, traceparent,
-- attachments, attached. `p_look_up`: which commands may be there already: none, some (those that name a session or an idempotency key), all.
-- Answers `orders`, the place of each command, and `odd`, null for none: the commands (`n` from 1) of which more is to be told than that they
-- were accepted and may be offered at once, each with its
-- outcome: accepted, repeated (these very ids are there already), deduplicated, conflict, agent_not_found, agent_inactive, agent_stale
-- (another version than the caller resolved, or the session of the key is just being removed: prepare anew), session_not_found, session_mismatch.
CREATE FUNCTION accept_commands(
  p_templates text[], p_policies jsonb[], p_agents text[], p_versions integer[], p_likes integer[], p_tasks text[], p_runs text[],
  p_messages text[], p_more jsonb[], p_look_up text, OUT accepted_at timestamptz, OUT orders bigint[], OUT odd jsonb
)
LANGUAGE plpgsql SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_material = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  -- by the places of the commands; null while all are accepted and none has a session
  v_outcomes text[];
  v_sessions text[];
  v_judged jsonb[];
  v_one jsonb;
BEGIN
  accepted_at := now();
  IF (SELECT count(*) FROM agents a WHERE a.id = ANY (p_agents) AND a.version = p_versions[array_position(p_agents, a.id)]
      AND a.active AND a.deleted_at IS NULL) < cardinality(p_agents) THEN
    v_outcomes := ARRAY(
      SELECT CASE WHEN a.id IS NULL THEN 'agent_not_found' WHEN NOT a.active THEN 'agent_inactive'
                  WHEN a.version <> p_templates[i.k][4]::integer THEN 'agent_stale' ELSE 'accepted' END
      FROM unnest(p_likes) WITH ORDINALITY AS i (k, n) LEFT JOIN agents a ON a.id = p_templates[i.k][2] AND a.deleted_at IS NULL ORDER BY i.n);
  END IF;
  IF p_look_up <> 'none' THEN
    v_outcomes := coalesce(v_outcomes, array_fill('accepted'::text, ARRAY[cardinality(p_runs)]));
    FOR v_one IN SELECT judge_commands(p_templates, p_likes, p_tasks, p_more, p_look_up) LOOP
      v_judged[(v_one -> 'n')::integer] := v_one;
      v_outcomes[(v_one -> 'n')::integer] := v_one ->> 'outcome';
      v_sessions[(v_one -> 'n')::integer] := v_one ->> 'session_id';
    END LOOP;
    -- a statement that waited for a session was accepted after the one it waited for
    accepted_at := clock_timestamp();
  END IF;
  -- with the sessions locked: the order of a session's runs is that in which they entered it
  FOR n IN 1 .. cardinality(p_runs) LOOP
    orders[n] := nextval('run_order');
  END LOOP;

  IF v_outcomes IS NULL AND cardinality(p_more) = 0 THEN
    -- nearly all: what such commands do not have is not prepared, which is a good part of what one alone costs
    INSERT INTO tasks (id, workspace_id, agent_id, agent_key, type, status, run_id, lane, priority, metadata)
    SELECT i.task, p_templates[i.k][1], p_templates[i.k][2], p_templates[i.k][3], p_templates[i.k][11], 'pending', i.run, p_templates[i.k][8],
      p_templates[i.k][12]::integer, '{}'
    FROM unnest(p_likes, p_tasks, p_runs) AS i (k, task, run);

    INSERT INTO runs (id, task_id, task_type, workspace_id, agent_id, agent_key, agent_version, lane, class_key, pool, job_name, status,
      max_attempts, priority, run_order, message, policy, timeout_ms, offerable_at, metadata)
    SELECT i.run, i.task, p_templates[i.k][11], p_templates[i.k][1], p_templates[i.k][2], p_templates[i.k][3], p_templates[i.k][4]::integer,
      p_templates[i.k][8], p_templates[i.k][6], p_templates[i.k][7], p_templates[i.k][5], 'queued', p_templates[i.k][10]::integer,
      p_templates[i.k][12]::integer, i.run_order, i.message, p_policies[p_templates[i.k][13]::integer], p_templates[i.k][9]::integer,
      accepted_at, '{}'
    FROM unnest(p_likes, p_tasks, p_runs, p_messages, orders) AS i (k, task, run, message, run_order);
    RETURN;
  END IF;

  INSERT INTO tasks (id, workspace_id, agent_id, agent_key, type, status, run_id, session_id, label, lane, priority, metadata, idempotency_key,
    fingerprint, attachments, created_at, updated_at)
  SELECT i.task, p_templates[i.k][1], p_templates[i.k][2], p_templates[i.k][3], p_templates[i.k][11], task_status_of('queued', is_later(i.more, accepted_at)),
    i.run, v_sessions[i.n], i.more ->> 'label', p_templates[i.k][8], p_templates[i.k][12]::integer, coalesce(i.more -> 'metadata', '{}'),
    i.more ->> 'idempotency_key', decode(i.more ->> 'fingerprint', 'hex'), i.more -> 'attachments',
    accepted_at, accepted_at
  FROM unnest(p_likes, p_tasks, p_runs, p_more) WITH ORDINALITY AS i (k, task, run, more, n)
  WHERE v_outcomes IS NULL OR v_outcomes[i.n] = 'accepted';

  INSERT INTO runs (id, task_id, task_type, workspace_id, agent_id, agent_key, agent_version, session_id, lane, class_key, pool, job_name, status,
    max_attempts, priority, run_order, session_order, scheduled, message, extra_system_prompt, policy, timeout_ms, not_before, expires_at,
    accepted_at, queued_at, offerable_at, label, metadata, traceparent, attachments)
  SELECT i.run, i.task, p_templates[i.k][11], p_templates[i.k][1], p_templates[i.k][2], p_templates[i.k][3], p_templates[i.k][4]::integer,
    v_sessions[i.n], p_templates[i.k][8], p_templates[i.k][6], p_templates[i.k][7], p_templates[i.k][5], 'queued', p_templates[i.k][10]::integer,
    p_templates[i.k][12]::integer, orders[i.n], CASE WHEN v_sessions[i.n] IS NOT NULL AND NOT is_later(i.more, accepted_at) THEN orders[i.n] END,
    is_later(i.more, accepted_at), i.message, i.more ->> 'extra_system_prompt', p_policies[p_templates[i.k][13]::integer], p_templates[i.k][9]::integer,
    starts_at(i.more), expires_at(i.more), accepted_at, accepted_at, accepted_at, i.more ->> 'label', coalesce(i.more -> 'metadata', '{}'), i.more ->> 'traceparent', i.more -> 'attached'
  FROM unnest(p_likes, p_tasks, p_runs, p_messages, p_more) WITH ORDINALITY AS i (k, task, run, message, more, n)
  WHERE v_outcomes IS NULL OR v_outcomes[i.n] = 'accepted';

  SELECT jsonb_agg(jsonb_build_object('n', i.n, 'outcome', i.outcome, 'not_before', starts_at(i.more), 'expires_at', expires_at(i.more),
      'task_id', coalesce(v_judged[i.n] ->> 'old_task', i.task), 'run_id', coalesce(v_judged[i.n] ->> 'old_run', i.run),
      'session_id', coalesce(v_judged[i.n] ->> 'old_session', v_sessions[i.n]), 'session_key', v_judged[i.n] ->> 'session_key',
      'offerable', i.outcome = 'accepted' AND (v_sessions[i.n] IS NULL OR enter_session(v_sessions[i.n], i.run, is_later(i.more, accepted_at))))) INTO odd
  FROM (SELECT u.*, coalesce(v_outcomes[u.n], 'accepted') AS outcome
        FROM unnest(p_tasks, p_runs, p_more) WITH ORDINALITY AS u (task, run, more, n)) i
  WHERE i.outcome <> 'accepted' OR v_sessions[i.n] IS NOT NULL OR i.more ?| '{not_before,delay_ms,expires_at,ttl_ms}';
END $$;

-- When a command may start at the earliest, by what else it has.
CREATE FUNCTION starts_at(p_more jsonb) RETURNS timestamptz LANGUAGE sql STABLE AS $$
  SELECT greatest((p_more ->> 'not_before')::timestamptz, now() + (p_more -> 'delay_ms')::bigint * interval '1 millisecond')
$$;
-- Until when it may start.
CREATE FUNCTION expires_at(p_more jsonb) RETURNS timestamptz LANGUAGE sql STABLE AS $$
  SELECT least((p_more ->> 'expires_at')::timestamptz, now() + (p_more -> 'ttl_ms')::bigint * interval '1 millisecond')
$$;
-- Whether it is not yet due at a time.
CREATE FUNCTION is_later(p_more jsonb, p_at timestamptz) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT coalesce(starts_at(p_more) > p_at, false)
$$;

-- Looks up each command that may be there already: makes the sessions that its session key needs, locks the sessions, and says what is to
-- become of it: {n, outcome (see accept_commands), its session, and the task and run that it is a repeat of}.
CREATE FUNCTION judge_commands(p_templates text[], p_likes integer[], p_tasks text[], p_more jsonb[], p_look_up text) RETURNS SETOF jsonb
LANGUAGE plpgsql SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_material = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
BEGIN
  -- one idempotency key is judged by one batch at a time; taken in one order, so that batches cannot lock each other out
  PERFORM pg_advisory_xact_lock(75, k.h) FROM (
    SELECT DISTINCT hashtext(i.workspace_id || i.agent_id || i.idempotency_key) AS h
    FROM commands_of(p_templates, p_likes, p_tasks, p_more, p_look_up) i WHERE i.idempotency_key IS NOT NULL ORDER BY 1) k;

  INSERT INTO sessions (id, workspace_id, agent_id, agent_key, key)
  SELECT DISTINCT ON (i.workspace_id, i.agent_id, i.session_key) i.new_session_id, i.workspace_id, i.agent_id, i.agent_key, i.session_key
  FROM commands_of(p_templates, p_likes, p_tasks, p_more, p_look_up) i
  JOIN agents a ON a.id = i.agent_id AND a.deleted_at IS NULL AND a.active AND a.version = i.agent_version
  WHERE i.session_key IS NOT NULL
    AND NOT EXISTS (SELECT FROM tasks t WHERE t.id = i.task_id)
    AND NOT EXISTS (SELECT FROM tasks t WHERE i.idempotency_key IS NOT NULL AND t.workspace_id = i.workspace_id
                    AND t.agent_id = i.agent_id AND t.idempotency_key = i.idempotency_key)
    AND NOT EXISTS (SELECT FROM sessions s WHERE s.workspace_id = i.workspace_id AND s.agent_id = i.agent_id AND s.key = i.session_key)
  ORDER BY i.workspace_id, i.agent_id, i.session_key, i.n
  ON CONFLICT DO NOTHING;

  PERFORM 1 FROM sessions WHERE id IN (
    SELECT s.id FROM commands_of(p_templates, p_likes, p_tasks, p_more, p_look_up) i JOIN sessions s ON s.id = i.session_id
    WHERE s.workspace_id = i.workspace_id
    UNION
    SELECT s.id FROM commands_of(p_templates, p_likes, p_tasks, p_more, p_look_up) i
    JOIN sessions s ON s.workspace_id = i.workspace_id AND s.agent_id = i.agent_id AND s.key = i.session_key
  ) ORDER BY id FOR UPDATE;

  RETURN QUERY SELECT jsonb_build_object('n', i.n, 'session_id', s.id, 'session_key', s.key, 'old_task', t.id, 'old_run', t.run_id,
    'old_session', t.session_id, 'outcome',
    CASE WHEN t.id = i.task_id THEN 'repeated'
         -- before its idempotency keys: another may have been made under the name that was asked for
         WHEN a.id IS NULL THEN 'agent_not_found'
         WHEN t.id IS NOT NULL THEN CASE WHEN t.fingerprint = decode(i.fingerprint, 'hex') THEN 'deduplicated' ELSE 'conflict' END
         WHEN NOT a.active THEN 'agent_inactive'
         WHEN a.version <> i.agent_version THEN 'agent_stale'
         WHEN i.session_id IS NOT NULL AND s.id IS NULL THEN 'session_not_found'
         WHEN i.session_id IS NOT NULL AND i.agent_id <> s.agent_id THEN 'session_mismatch'
         -- removed as unused after it was looked for above: prepared once more, the command gets a new one
         WHEN i.session_key IS NOT NULL AND s.id IS NULL THEN 'agent_stale'
         ELSE 'accepted' END)
  FROM commands_of(p_templates, p_likes, p_tasks, p_more, p_look_up) i
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
END $$;

-- What is needed to look commands up.
CREATE FUNCTION commands_of(p_templates text[], p_likes integer[], p_tasks text[], p_more jsonb[], p_look_up text) RETURNS TABLE (
  n bigint, task_id text, workspace_id text, agent_id text, agent_key text, agent_version integer, session_id text, session_key text,
  new_session_id text, idempotency_key text, fingerprint text
) LANGUAGE sql IMMUTABLE AS $$
  SELECT i.n, i.task, p_templates[i.k][1], p_templates[i.k][2], p_templates[i.k][3], p_templates[i.k][4]::integer, i.more ->> 'session_id',
    i.more ->> 'session_key', i.more ->> 'new_session_id', i.more ->> 'idempotency_key', i.more ->> 'fingerprint'
  FROM unnest(p_likes, p_tasks, p_more) WITH ORDINALITY AS i (k, task, more, n)
  WHERE p_look_up = 'all' OR i.more ?| '{session_id,session_key,idempotency_key}'
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
