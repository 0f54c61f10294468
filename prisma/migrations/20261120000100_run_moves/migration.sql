-- How a run moves. Every function that touches several rows locks sessions, then runs, then tasks, each by id; the statements after the
-- locks see a fresh snapshot, since each statement of a volatile function takes its own.
-- A statement begins with the runs that it is given, also where its plan was made while the tables were empty: `unnest` is taken for few rows,
-- `= ANY` beside a join names them, and `IS TRUE` keeps the planner from beginning with all that is queued or held.

-- What the gate needs to know of a queued run.
CREATE FUNCTION offer_of(r runs) RETURNS jsonb LANGUAGE sql STABLE AS $$
  SELECT jsonb_build_object(
    'run_id', r.id, 'workspace_id', r.workspace_id, 'agent_id', r.agent_id, 'lane', r.lane, 'class_key', r.class_key,
    'pool', r.pool, 'job_name', r.job_name, 'priority', r.priority, 'order', r.run_order, 'front', r.front,
    'not_before_ms', CASE WHEN r.not_before > now() THEN ceil(extract(epoch FROM r.not_before) * 1000)::bigint END,
    'queued_at_ms', floor(extract(epoch FROM r.queued_at) * 1000)::bigint)
$$;

CREATE FUNCTION task_status_of(run_status text, scheduled boolean) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE run_status
    WHEN 'queued' THEN CASE WHEN scheduled THEN 'scheduled' ELSE 'pending' END
    WHEN 'succeeded' THEN 'completed'
    WHEN 'failed' THEN 'dead_letter'
    WHEN 'timed_out' THEN 'dead_letter'
    ELSE run_status
  END
$$;

CREATE FUNCTION lock_runs(p_runs text[]) RETURNS void
LANGUAGE plpgsql SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_material = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
BEGIN
  PERFORM 1 FROM sessions WHERE id IN (SELECT session_id FROM runs WHERE id = ANY (p_runs)) ORDER BY id FOR UPDATE;
  PERFORM 1 FROM runs WHERE id = ANY (p_runs) ORDER BY id FOR UPDATE;
END $$;

-- Names the next run of each session, whose current run has ended; answers their offers. The session rows are locked by the caller.
CREATE FUNCTION name_next(p_sessions text[]) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_offers jsonb;
BEGIN
  UPDATE sessions s SET
    current_run_id = (SELECT r.id FROM runs r WHERE r.session_id = s.id AND r.status = 'queued' AND r.session_order IS NOT NULL
                      ORDER BY r.session_order LIMIT 1),
    named_at = now(), last_active_at = now()
  WHERE s.id = ANY (p_sessions);
  SELECT coalesce(jsonb_agg(offer_of(r)), '[]') INTO v_offers
  FROM sessions s JOIN runs r ON r.id = s.current_run_id WHERE s.id = ANY (p_sessions) AND (r.status = 'queued') IS TRUE;
  RETURN v_offers;
END $$;

-- Moves runs whose rows (and sessions) the caller has locked. A held run with a cancel asked ends cancelled, whatever was aimed at.
-- Keeps the attempt, moves the task, notes the event and the snapshot, names the next run of each session that became free.
-- Answers {moved: [{run_id, status, generation, admission}], events: [event], offers: [offer]}.
CREATE FUNCTION move_runs(p_items jsonb) RETURNS jsonb
LANGUAGE plpgsql SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_material = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  v_moved jsonb;
  v_events jsonb;
  v_freed text[];
  v_queued text[];
  v_offers jsonb := '[]';
BEGIN
  WITH aim AS (
    SELECT i.*, r.status AS old_status, r.node_id AS old_node, (r.cancel_requested_at IS NOT NULL AND r.status <> 'queued') AS cancelling,
      CASE WHEN r.cancel_requested_at IS NOT NULL AND r.status <> 'queued' THEN 'cancelled' ELSE i.status END AS new_status,
      CASE WHEN r.cancel_requested_at IS NOT NULL AND r.status <> 'queued'
        THEN jsonb_build_object('code', r.cancel_code, 'message', r.cancel_reason, 'retryable', false) ELSE i.failure END AS new_failure
    FROM unnest(ARRAY(SELECT jsonb_array_elements(p_items))) AS u (item) CROSS JOIN LATERAL jsonb_to_record(u.item) AS i (
      run_id text, status text, attempt_status text, charge integer, losses integer, hand_backs integer, reason text, delay_ms bigint,
      front boolean, output jsonb, output_truncated boolean, failure jsonb, usage jsonb, exit_code integer, limits jsonb)
    JOIN runs r ON r.id = i.run_id
  ), moved AS (
    UPDATE runs r SET
      status = a.new_status,
      generation = r.generation + CASE WHEN a.old_status = 'queued' THEN 0 ELSE 1 END,
      attempt_count = r.attempt_count + CASE WHEN a.cancelling THEN 0 ELSE coalesce(a.charge, 0) END,
      losses = coalesce(a.losses, 0),
      hand_backs = coalesce(a.hand_backs, 0),
      unnamed_beats = 0,
      front = coalesce(a.front, false) AND a.new_status = 'queued',
      scheduled = a.new_status = 'queued' AND coalesce(a.delay_ms, 0) > 0,
      not_before = CASE WHEN a.new_status <> 'queued' THEN r.not_before
                        WHEN coalesce(a.delay_ms, 0) > 0 THEN now() + a.delay_ms * interval '1 millisecond' END,
      queued_at = CASE WHEN a.new_status = 'queued' THEN now() ELSE r.queued_at END,
      offerable_at = CASE WHEN a.new_status = 'queued' THEN now() END,
      node_id = CASE WHEN a.new_status = 'queued' THEN NULL ELSE r.node_id END,
      ended_at = CASE WHEN a.new_status <> 'queued' THEN now() END,
      output = CASE WHEN a.new_status = 'succeeded' THEN a.output END,
      output_truncated = a.new_status = 'succeeded' AND coalesce(a.output_truncated, false),
      failure = CASE WHEN a.new_status NOT IN ('queued', 'succeeded') THEN a.new_failure END,
      usage = coalesce(a.usage, r.usage),
      last_seq = r.last_seq + 1,
      last_snapshot = r.last_snapshot + 1
    FROM aim a WHERE r.id = a.run_id
    RETURNING r.id, r.task_id, r.session_id, r.pool, r.status, r.generation, r.admission, r.attempt_number, r.attempt_started_at, r.started_seq,
      r.started_snapshot, r.last_seq, r.last_snapshot, r.scheduled, r.not_before, r.output, r.failure, a.old_status AS x_old,
      a.old_node AS x_node, a.reason AS x_reason, a.exit_code AS x_exit, a.limits AS x_limits,
      a.new_failure AS x_failure,
      CASE WHEN a.cancelling AND a.attempt_status IN ('succeeded', 'failed', 'timed_out') THEN 'cancelled' ELSE a.attempt_status END AS x_attempt
  ), closed AS (
    INSERT INTO ended_attempts (run_id, number, session_id, generation, admission, node_id, runtime, status, started_at, started_seq,
      started_snapshot, ended_at, exit_code, failure, limits)
    SELECT m.id, m.attempt_number, m.session_id, m.generation - 1, m.admission, m.x_node, m.pool, m.x_attempt, m.attempt_started_at,
      m.started_seq, m.started_snapshot, now(), m.x_exit, CASE WHEN m.x_attempt <> 'succeeded' THEN m.x_failure END, coalesce(m.x_limits, '{}')
    FROM moved m WHERE m.x_old <> 'queued'
  ), tasked AS (
    UPDATE tasks t SET status = task_status_of(m.status, m.scheduled), updated_at = now(), output = m.output, failure = m.failure
    FROM moved m WHERE t.id = m.task_id AND t.run_id = m.id
  ), told AS (
    SELECT m.id AS run_id, m.last_seq AS seq, nullif(m.attempt_number, 0) AS attempt,
      CASE WHEN m.status = 'queued' THEN 'run.requeued' ELSE 'run.finished' END AS type, date_trunc('milliseconds', now()) AS at,
      CASE WHEN m.status = 'queued'
        THEN jsonb_build_object('reason', m.x_reason, 'not_before', CASE WHEN m.scheduled THEN to_char(m.not_before AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') END)
        ELSE jsonb_build_object('status', m.status, 'output', m.output, 'failure', m.failure) END AS data
    FROM moved m
  ), noted AS (
    -- an end is told by the run itself
    INSERT INTO noted_events (run_id, seq, attempt, type, data, snapshot, status)
    SELECT t.run_id, t.seq, t.attempt, t.type, t.data, m.last_snapshot, m.status
    FROM told t JOIN moved m ON m.id = t.run_id WHERE m.status = 'queued'
  )
  SELECT coalesce(jsonb_agg(jsonb_build_object('run_id', m.id, 'status', m.status, 'generation', m.generation, 'admission', m.admission)), '[]'),
    (SELECT coalesce(jsonb_agg(to_jsonb(t)), '[]') FROM told t),
    array_agg(m.session_id) FILTER (WHERE m.status <> 'queued' AND m.session_id IS NOT NULL),
    array_agg(m.id) FILTER (WHERE m.status = 'queued')
  INTO v_moved, v_events, v_freed, v_queued FROM moved m;

  IF v_freed IS NOT NULL THEN
    -- only where the ended run was the current one: a queued run may be cancelled behind it
    SELECT array_agg(s.id) INTO v_freed FROM sessions s
    WHERE s.id = ANY (v_freed)
      AND (s.current_run_id IS NULL OR EXISTS (SELECT FROM jsonb_array_elements(v_moved) m WHERE m ->> 'run_id' = s.current_run_id));
    IF v_freed IS NOT NULL THEN
      v_offers := name_next(v_freed);
    END IF;
  END IF;
  IF v_queued IS NOT NULL THEN
    v_offers := v_offers || (SELECT coalesce(jsonb_agg(offer_of(r)), '[]') FROM runs r WHERE r.id = ANY (v_queued));
  END IF;
  RETURN jsonb_build_object('moved', v_moved, 'events', v_events, 'offers', v_offers);
END $$;

-- A worker's ends of attempts: each item names the generation it holds; one that no longer holds is absent from `moved`.
CREATE FUNCTION finish_runs(p_items jsonb) RETURNS jsonb
LANGUAGE plpgsql SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_material = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  v_held jsonb;
BEGIN
  PERFORM lock_runs((SELECT array_agg(i ->> 'run_id') FROM jsonb_array_elements(p_items) i));
  SELECT jsonb_agg(i) INTO v_held FROM jsonb_array_elements(p_items) i
  JOIN LATERAL (SELECT r.generation, r.status FROM runs r WHERE r.id = i ->> 'run_id' OFFSET 0) r
    ON r.generation = (i ->> 'generation')::integer AND r.status IN ('running', 'waiting');
  IF v_held IS NULL THEN
    RETURN '{"moved": [], "events": [], "offers": []}';
  END IF;
  RETURN move_runs(v_held);
END $$;

-- The road of nearly every end: as `finish_runs`, for runs that end for good and whose cancel was not asked; all others are left as they
-- are and absent from the answer, as are runs of sessions that are not named. The runs come by their ids, each with the generation it is held
-- under and its output. `p_kinds`: how they ended, one for those that ended alike; `p_likes`: the kind of each. Answers the runs that ended,
-- column by column (null for none), and the offers of the sessions that became free.
CREATE FUNCTION end_runs(
  p_runs text[], p_generations integer[], p_outputs jsonb[], p_likes integer[], p_kinds jsonb[], p_sessions text[],
  OUT at timestamptz, OUT run_ids text[], OUT generations integer[], OUT admissions bigint[], OUT attempts integer[], OUT seqs integer[],
  OUT offers jsonb
)
LANGUAGE plpgsql SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_material = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  v_freed text[];
BEGIN
  at := date_trunc('milliseconds', now());
  IF cardinality(p_sessions) > 0 THEN
    PERFORM 1 FROM sessions WHERE id = ANY (p_sessions) ORDER BY id FOR UPDATE;
  END IF;
  WITH ended AS (
    UPDATE runs r SET status = i.kind ->> 'status', generation = r.generation + 1, attempt_count = r.attempt_count + (i.kind -> 'charge')::integer,
      losses = (i.kind -> 'losses')::integer, hand_backs = (i.kind -> 'hand_backs')::integer, ended_at = now(), output = i.output,
      output_truncated = (i.kind -> 'output_truncated')::boolean, failure = i.kind -> 'failure', usage = coalesce(i.kind -> 'usage', r.usage),
      last_seq = r.last_seq + 1, last_snapshot = r.last_snapshot + 1
    FROM (SELECT u.run_id, u.generation, u.output, p_kinds[u.k] AS kind
          FROM unnest(p_runs, p_generations, p_outputs, p_likes) AS u (run_id, generation, output, k)) i
    -- only a held run has the generation of a holder
    WHERE r.id = i.run_id AND (r.generation = i.generation AND r.cancel_requested_at IS NULL
      AND (r.session_id IS NULL OR r.session_id = ANY (p_sessions))) IS TRUE
    RETURNING r.id, r.task_id, r.session_id, r.pool, r.status, r.generation, r.admission, r.node_id, r.attempt_number, r.attempt_started_at,
      r.started_seq, r.started_snapshot, r.last_seq, r.output, r.failure, i.kind
  ), closed AS (
    INSERT INTO ended_attempts (run_id, number, session_id, generation, admission, node_id, runtime, status, started_at, started_seq,
      started_snapshot, ended_at, exit_code, failure, limits)
    SELECT e.id, e.attempt_number, e.session_id, e.generation - 1, e.admission, e.node_id, e.pool, e.kind ->> 'attempt_status',
      e.attempt_started_at, e.started_seq, e.started_snapshot, now(), (e.kind -> 'exit_code')::integer,
      CASE WHEN e.kind ->> 'attempt_status' <> 'succeeded' THEN e.failure END, coalesce(e.kind -> 'limits', '{}')
    FROM ended e
  ), tasked AS (
    UPDATE tasks t SET status = task_status_of(e.status, false), updated_at = now(), output = e.output, failure = e.failure
    FROM ended e WHERE t.id = e.task_id AND t.run_id = e.id
  )
  SELECT array_agg(e.id), array_agg(e.generation), array_agg(e.admission), array_agg(e.attempt_number), array_agg(e.last_seq)
  INTO run_ids, generations, admissions, attempts, seqs FROM ended e;

  IF cardinality(p_sessions) > 0 THEN
    SELECT array_agg(s.id) INTO v_freed FROM sessions s WHERE s.id = ANY (p_sessions)
      AND NOT EXISTS (SELECT FROM runs r WHERE r.id = s.current_run_id AND r.status IN ('queued', 'running', 'waiting'));
    IF v_freed IS NOT NULL THEN
      offers := name_next(v_freed);
    END IF;
  END IF;
END $$;

-- The claims of one worker, by their runs' ids. Verdicts: claimed; mine
-- (already running on this node under this admission); taken (running under this very admission elsewhere: nothing to release); refused
-- (release this admission); node_dead (refused, and the node must register anew). The first two come with the run.
CREATE FUNCTION claim_runs(p_node text, p_runs text[], p_admissions bigint[]) RETURNS TABLE (
  run_id text, admission bigint, verdict text, task_id text, task_type text, workspace_id text, agent_id text, agent_key text,
  agent_version integer, session_id text, lane text, generation integer, attempt_number integer, attempt_count integer,
  max_attempts integer, losses integer, hand_backs integer, seq integer, started_at timestamptz, message text, extra_system_prompt text,
  policy text, timeout_ms integer, label text, metadata jsonb, usage jsonb, traceparent text, attachments jsonb, ready_at timestamptz,
  past json
)
LANGUAGE plpgsql SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_material = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
  v_claimed integer;
BEGIN
  -- a condition, which is evaluated without a statement of its own; what follows sees what was committed before the lock was had
  IF pg_advisory_xact_lock_shared(74, 1) IS NULL THEN END IF;
  RETURN QUERY
  WITH moved AS (
    UPDATE runs r SET
      status = 'running', generation = r.generation + 1, admission = i.admission, node_id = p_node, scheduled = false, front = false,
      attempt_number = r.attempt_number + 1, attempt_started_at = now(), started_at = coalesce(r.started_at, now()),
      unnamed_beats = 0, last_seq = r.last_seq + 1, last_snapshot = r.last_snapshot + 1, started_seq = r.last_seq + 1,
      started_snapshot = r.last_snapshot + 1, flush = 0
    FROM unnest(p_runs, p_admissions) AS i (run_id, admission)
    WHERE r.id = i.run_id AND (r.status = 'queued' AND r.cancel_requested_at IS NULL AND i.admission > r.admission
      AND i.admission >> 32 = (SELECT f.epoch FROM fleet f WHERE f.id = 1)
      AND EXISTS (SELECT FROM nodes n WHERE n.id = p_node AND n.status IN ('active', 'draining'))
      AND (r.not_before IS NULL OR r.not_before <= now())
      AND (r.started_at IS NOT NULL OR r.expires_at IS NULL OR r.expires_at > now())
      AND (r.session_id IS NULL OR EXISTS (SELECT FROM sessions s WHERE s.id = r.session_id AND s.current_run_id = r.id))) IS TRUE
    RETURNING r.id, r.admission, r.task_id, r.task_type, r.workspace_id, r.agent_id, r.agent_key, r.agent_version, r.session_id, r.lane,
      r.generation, r.attempt_number, r.attempt_count, r.max_attempts, r.losses, r.hand_backs, r.last_seq, r.last_snapshot, r.message,
      r.extra_system_prompt, r.policy, r.timeout_ms, r.label, r.metadata, r.usage, r.traceparent, r.attachments, greatest(r.queued_at, r.not_before) AS ready_at
  ), tasked AS (
    UPDATE tasks t SET status = 'running', updated_at = now() FROM moved m WHERE t.id = m.task_id AND t.run_id = m.id
  )
  SELECT m.id, m.admission, 'claimed', m.task_id, m.task_type, m.workspace_id, m.agent_id, m.agent_key, m.agent_version, m.session_id, m.lane,
    m.generation, m.attempt_number, m.attempt_count, m.max_attempts, m.losses, m.hand_backs, m.last_seq, date_trunc('milliseconds', now()),
    m.message, m.extra_system_prompt, m.policy::text, m.timeout_ms, m.label, m.metadata, m.usage, m.traceparent, m.attachments, m.ready_at,
    CASE WHEN m.session_id IS NOT NULL OR m.attempt_number > 1 THEN past_of_run(m.id, m.session_id, m.attempt_number, m.last_snapshot) END
  FROM moved m;

  GET DIAGNOSTICS v_claimed = ROW_COUNT;
  IF v_claimed < cardinality(p_runs) THEN
    RETURN QUERY
    SELECT i.run_id, i.admission,
      CASE WHEN r.status = 'running' AND r.admission = i.admission AND r.node_id = p_node THEN 'mine'
           WHEN r.status IN ('running', 'waiting') AND r.admission = i.admission THEN 'taken'
           WHEN EXISTS (SELECT FROM nodes n WHERE n.id = p_node AND n.status IN ('active', 'draining')) THEN 'refused' ELSE 'node_dead' END,
      r.task_id, r.task_type, r.workspace_id, r.agent_id, r.agent_key, r.agent_version, r.session_id, r.lane, r.generation, r.attempt_number,
      r.attempt_count, r.max_attempts, r.losses, r.hand_backs, r.last_seq, date_trunc('milliseconds', r.attempt_started_at), r.message,
      r.extra_system_prompt, r.policy::text, r.timeout_ms, r.label, r.metadata, r.usage, r.traceparent, r.attachments,
      greatest(r.queued_at, r.not_before),
      CASE WHEN r.status = 'running' AND r.admission = i.admission AND r.node_id = p_node AND (r.session_id IS NOT NULL OR r.attempt_number > 1)
        THEN past_of_run(r.id, r.session_id, r.attempt_number, r.last_snapshot) END
    FROM unnest(p_runs, p_admissions) AS i (run_id, admission) LEFT JOIN runs r ON r.id = i.run_id
    -- but for those that this very call claimed
    WHERE (r.status = 'running' AND r.xmin = pg_current_xact_id()::xid) IS NOT TRUE;
    -- what this claim may not start, some other may: its slot is about to go, so the reconciler offers it within a second; a hint, for which
    -- nobody waits with the locks of what was claimed
    UPDATE runs r SET offerable_at = now() WHERE r.id = ANY (ARRAY(
      SELECT q.id FROM runs q WHERE q.id = ANY (p_runs) AND (q.status = 'queued') IS TRUE ORDER BY q.id FOR UPDATE SKIP LOCKED));
  END IF;
END $$;

-- What came before an attempt, of its run and its session. A function of its own, so that a first attempt without a session pays nothing for it.
CREATE FUNCTION past_of_run(p_run text, p_session text, p_attempt integer, p_snapshots integer) RETURNS json
LANGUAGE plpgsql STABLE SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_material = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
BEGIN
  RETURN json_build_object(
    'session_key', (SELECT s.key FROM sessions s WHERE s.id = p_session),
    'named_at', (SELECT s.named_at FROM sessions s WHERE s.id = p_session),
    -- when its last holder was last heard of
    'lost_at', (SELECT least(t.ended_at, n.last_beat_at) FROM ended_attempts t LEFT JOIN nodes n ON n.id = t.node_id
      WHERE t.run_id = p_run AND t.status = 'lost' ORDER BY t.number DESC LIMIT 1),
    -- Two snapshots of each attempt say that the run was queued and that it started. Where there are no more, its agent saved nothing, and
    -- the whole of a long log would be read to find that out.
    'state', CASE WHEN p_snapshots > 2 * p_attempt
      THEN (SELECT p.state FROM snapshots p WHERE p.run_id = p_run AND p.state IS NOT NULL ORDER BY p.event_seq DESC LIMIT 1) END,
    -- The newest that may have left a sandbox: one that ended by itself before it had one tells nothing of those before it. Two queries, so
    -- that each has its index.
    'previous', CASE WHEN p_session IS NOT NULL
      THEN (SELECT json_build_object('run_id', t.run_id, 'generation', t.generation, 'status', t.status, 'host_identity', n.host_identity)
            FROM ended_attempts t LEFT JOIN nodes n ON n.id = t.node_id
            WHERE t.session_id = p_session AND (t.status IN ('lost', 'cancelled') OR t.limits <> '{}')
            ORDER BY t.admission DESC LIMIT 1)
      ELSE (SELECT json_build_object('run_id', t.run_id, 'generation', t.generation, 'status', t.status, 'host_identity', n.host_identity)
            FROM ended_attempts t LEFT JOIN nodes n ON n.id = t.node_id
            WHERE t.run_id = p_run AND t.number < p_attempt AND (t.status IN ('lost', 'cancelled') OR t.limits <> '{}') ORDER BY t.number DESC LIMIT 1) END);
END $$;

-- Appends events of held runs in their order and numbers them; an item whose generation no longer holds is answered with a null first number.
-- Each item carries the number of its append within the attempt: one that was committed before and is sent again appends nothing and is
-- answered as the first time. An event with a `state` is a snapshot of the agent: it gets the snapshot's number into its data.
CREATE FUNCTION append_events(p_items jsonb)
RETURNS TABLE (run_id text, generation integer, first_seq integer, attempt integer, snapshots integer[], at timestamptz) 
LANGUAGE plpgsql SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_material = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
  v_items jsonb[] := ARRAY(SELECT jsonb_array_elements(p_items));
BEGIN
  PERFORM 1 FROM runs r WHERE r.id = ANY (ARRAY(SELECT u.item ->> 'run_id' FROM unnest(v_items) AS u (item))) ORDER BY r.id FOR UPDATE;
  RETURN QUERY
  WITH item AS (
    SELECT i.run_id, i.generation, i.flush, i.events, jsonb_array_length(i.events) AS n,
      (SELECT count(*)::integer FROM jsonb_array_elements(i.events) e WHERE e ? 'state') AS saved
    FROM unnest(v_items) AS u (item) CROSS JOIN LATERAL jsonb_to_record(u.item) AS i (run_id text, generation integer, flush integer, events jsonb)
  ), raised AS (
    UPDATE runs r SET last_seq = r.last_seq + i.n, last_snapshot = r.last_snapshot + i.saved,
      flush = i.flush, flush_seq = r.last_seq + 1, flush_snapshot = r.last_snapshot
    FROM item i WHERE r.id = i.run_id AND r.generation = i.generation AND (r.status IN ('running', 'waiting')) IS TRUE
      AND r.flush < i.flush
    RETURNING r.id, r.generation, r.attempt_number, r.status, r.flush_seq, r.flush_snapshot, i.events
  ), line AS (
    SELECT d.id, d.attempt_number, d.status, d.flush_seq + e.n::integer - 1 AS seq, e.value,
      CASE WHEN e.value ? 'state' THEN
        d.flush_snapshot + sum(CASE WHEN e.value ? 'state' THEN 1 ELSE 0 END) OVER (PARTITION BY d.id ORDER BY e.n)::integer END AS snapshot
    FROM raised d CROSS JOIN LATERAL jsonb_array_elements(d.events) WITH ORDINALITY AS e (value, n)
  ), noted AS (
    INSERT INTO noted_events (run_id, seq, attempt, type, data, snapshot, status, state)
    SELECT l.id, l.seq, l.attempt_number, l.value ->> 'type',
      CASE WHEN l.snapshot IS NULL THEN l.value -> 'data' ELSE (l.value -> 'data') || jsonb_build_object('seq', l.snapshot) END,
      l.snapshot, CASE WHEN l.snapshot IS NOT NULL THEN l.status END, l.value -> 'state'
    FROM line l
  ), done AS MATERIALIZED (
    SELECT d.id, d.generation, d.flush_seq, d.flush_snapshot, d.attempt_number, date_trunc('milliseconds', now()) AS at FROM raised d
    UNION ALL
    SELECT r.id, r.generation, r.flush_seq, r.flush_snapshot, r.attempt_number, (SELECT e.at FROM noted_events e WHERE e.run_id = r.id AND e.seq = r.flush_seq)
    FROM runs r JOIN item i ON r.id = i.run_id AND r.generation = i.generation AND r.flush = i.flush
    WHERE (r.status IN ('running', 'waiting')) IS TRUE
  )
  SELECT i.run_id, i.generation, d.flush_seq, d.attempt_number,
    CASE WHEN d.id IS NOT NULL THEN ARRAY(SELECT generate_series(d.flush_snapshot + 1, d.flush_snapshot + i.saved)) END,
    coalesce(d.at, now())
  FROM item i LEFT JOIN done d ON d.id = i.run_id AND d.generation = i.generation;
END $$;

-- Cancels a run: a queued one ends here and now, a held one is asked to. Answers {outcome: cancelled | requested | ended, moved, events, offers};
-- null when there is no such run.
CREATE FUNCTION cancel_run(p_run text, p_code text, p_reason text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_run runs;
  v_seq integer;
  v_events jsonb := '[]';
BEGIN
  PERFORM lock_runs(ARRAY[p_run]);
  SELECT * INTO v_run FROM runs WHERE id = p_run;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  IF v_run.status = 'queued' THEN
    RETURN jsonb_build_object('outcome', 'cancelled') || move_runs(jsonb_build_array(jsonb_build_object(
      'run_id', p_run, 'status', 'cancelled', 'losses', v_run.losses, 'hand_backs', v_run.hand_backs,
      'failure', jsonb_build_object('code', p_code, 'message', p_reason, 'retryable', false))));
  ELSIF v_run.status IN ('running', 'waiting') THEN
    IF v_run.cancel_requested_at IS NULL THEN
      UPDATE runs SET cancel_requested_at = now(), cancel_code = p_code, cancel_reason = p_reason, last_seq = last_seq + 1
      WHERE id = p_run RETURNING last_seq INTO v_seq;
      INSERT INTO noted_events AS e (run_id, seq, attempt, type, data)
      VALUES (p_run, v_seq, nullif(v_run.attempt_number, 0), 'run.cancel_requested', jsonb_build_object('reason', p_reason))
      RETURNING jsonb_build_array(jsonb_build_object(
        'run_id', e.run_id, 'seq', e.seq, 'attempt', e.attempt, 'type', e.type, 'at', e.at, 'data', e.data)) INTO v_events;
    END IF;
    RETURN jsonb_build_object('outcome', 'requested', 'moved', '[]'::jsonb, 'events', v_events, 'offers', '[]'::jsonb);
  END IF;
  RETURN jsonb_build_object('outcome', 'ended', 'moved', '[]'::jsonb, 'events', '[]'::jsonb, 'offers', '[]'::jsonb);
END $$;

-- Ends the current run of a session, whatever its state, and names the next. A worker that holds it is fenced by the raised generation.
CREATE FUNCTION release_session(p_session text, p_reason text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_run runs;
BEGIN
  PERFORM 1 FROM sessions WHERE id = p_session FOR UPDATE;
  SELECT r.* INTO v_run FROM sessions s JOIN runs r ON r.id = s.current_run_id WHERE s.id = p_session FOR UPDATE OF r;
  IF v_run.id IS NULL OR v_run.status NOT IN ('queued', 'running', 'waiting') THEN
    RETURN jsonb_build_object('moved', '[]'::jsonb, 'events', '[]'::jsonb, 'offers', name_next(ARRAY[p_session]));
  END IF;
  UPDATE runs SET cancel_requested_at = coalesce(cancel_requested_at, now()), cancel_code = 'session_released', cancel_reason = p_reason
  WHERE id = v_run.id AND status <> 'queued';
  RETURN move_runs(jsonb_build_array(jsonb_build_object(
    'run_id', v_run.id, 'status', 'cancelled', 'attempt_status', 'cancelled',
    'failure', jsonb_build_object('code', 'session_released', 'message', p_reason, 'retryable', false))));
END $$;

-- Gives a dead letter a new run, at the end of its session, by its agent as it is now, whose fault may be mended by then: everything else is
-- as the command had it. An archived one is listed again. Answers {outcome: requeued | refused | agent_gone, status, offers}; null when there is no such task.
CREATE FUNCTION requeue_task(p_task text, p_new_run text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_task tasks;
  v_version integer;
  v_current text;
  v_order bigint;
BEGIN
  PERFORM 1 FROM sessions WHERE id = (SELECT session_id FROM tasks WHERE id = p_task) FOR UPDATE;
  SELECT * INTO v_task FROM tasks WHERE id = p_task FOR UPDATE;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  IF v_task.run_id = p_new_run THEN
    RETURN jsonb_build_object('outcome', 'requeued', 'status', v_task.status,
      'offers', (SELECT coalesce(jsonb_agg(offer_of(r)), '[]') FROM runs r WHERE r.id = p_new_run AND r.status = 'queued'
        AND (r.session_id IS NULL OR r.id = (SELECT s.current_run_id FROM sessions s WHERE s.id = r.session_id))));
  END IF;
  IF v_task.status <> 'dead_letter' THEN
    RETURN jsonb_build_object('outcome', 'refused', 'status', v_task.status, 'offers', '[]'::jsonb);
  END IF;
  -- the lock keeps it from being deleted meanwhile
  SELECT a.version INTO v_version FROM agents a WHERE a.id = v_task.agent_id AND a.deleted_at IS NULL FOR KEY SHARE;
  IF NOT FOUND THEN
    RETURN jsonb_build_object('outcome', 'agent_gone', 'status', v_task.status, 'offers', '[]'::jsonb);
  END IF;
  v_order := nextval('run_order');
  INSERT INTO runs (id, task_id, task_type, workspace_id, agent_id, agent_key, agent_version, session_id, lane, class_key, pool, job_name,
      status, max_attempts, priority, run_order, session_order, message, extra_system_prompt, policy, timeout_ms, offerable_at, label, metadata,
      attachments)
    SELECT p_new_run, task_id, task_type, workspace_id, agent_id, agent_key, v_version, session_id, lane, class_key, pool, job_name, 'queued',
      max_attempts, priority, v_order, CASE WHEN session_id IS NOT NULL THEN v_order END, message, extra_system_prompt, policy, timeout_ms, now(),
      label, metadata, attachments
    FROM runs WHERE id = v_task.run_id;
  UPDATE tasks SET status = 'pending', run_id = p_new_run, past_run_ids = past_run_ids || run_id, output = NULL, failure = NULL, archived_at = NULL, updated_at = now()
  WHERE id = p_task;
  IF v_task.session_id IS NOT NULL THEN
    UPDATE sessions SET current_run_id = coalesce(current_run_id, p_new_run), last_active_at = now(),
      named_at = CASE WHEN current_run_id IS NULL THEN now() ELSE named_at END
    WHERE id = v_task.session_id RETURNING current_run_id INTO v_current;
  END IF;
  RETURN jsonb_build_object('outcome', 'requeued', 'status', 'pending', 'offers',
    (SELECT coalesce(jsonb_agg(offer_of(r)), '[]') FROM runs r WHERE r.id = p_new_run AND (r.session_id IS NULL OR v_current = p_new_run)));
END $$;
