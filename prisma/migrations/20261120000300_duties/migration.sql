-- What the beats and the tick ask of Postgres. None of it costs more than the slots, the recent changes or one bounded page.

-- One beat of a node: names what it holds and what it is claiming, and learns what it lost and what to cancel.
-- Answers null when the node is unknown or dead: such a node must kill what it lost and register anew.
CREATE FUNCTION beat(p_node text, p_held jsonb, p_claiming jsonb, p_used integer, p_draining boolean) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_run record;
  v_lost jsonb;
  v_cancel jsonb;
BEGIN
  UPDATE nodes SET missed = 0, last_beat_at = now(), used = p_used, claiming = p_claiming,
    status = CASE WHEN p_draining THEN 'draining' ELSE status END
  WHERE id = p_node AND status IN ('active', 'draining');
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  -- one row each, in the order of their ids, and only where there is something to say: a beat waits for nobody's batch without need
  FOR v_run IN
    SELECT n.id, n.named FROM (
      SELECT r.id, r.unnamed_beats,
        EXISTS (SELECT FROM jsonb_to_recordset(p_held) AS h (run_id text, generation integer) WHERE h.run_id = r.id AND h.generation = r.generation)
        OR EXISTS (SELECT FROM jsonb_to_recordset(p_claiming) AS c (run_id text, admission bigint) WHERE c.run_id = r.id) AS named
      FROM runs r WHERE r.node_id = p_node AND r.status IN ('running', 'waiting')
    ) n WHERE NOT n.named OR n.unnamed_beats > 0 ORDER BY n.id
  LOOP
    UPDATE runs r SET unnamed_beats = CASE WHEN v_run.named THEN 0 ELSE r.unnamed_beats + 1 END
    WHERE r.id = v_run.id AND r.node_id = p_node AND r.status IN ('running', 'waiting');
  END LOOP;
  SELECT coalesce(jsonb_agg(jsonb_build_object('run_id', h.run_id, 'generation', h.generation)), '[]') INTO v_lost
  FROM jsonb_to_recordset(p_held) AS h (run_id text, generation integer)
  WHERE NOT EXISTS (SELECT FROM runs r WHERE r.id = h.run_id AND r.generation = h.generation AND r.status IN ('running', 'waiting') AND r.node_id = p_node);
  SELECT coalesce(jsonb_agg(jsonb_build_object('run_id', r.id, 'generation', r.generation, 'reason', r.cancel_reason)), '[]') INTO v_cancel
  FROM jsonb_to_recordset(p_held) AS h (run_id text, generation integer)
  JOIN runs r ON r.id = h.run_id AND r.generation = h.generation AND r.status IN ('running', 'waiting') AND r.cancel_requested_at IS NOT NULL;
  RETURN jsonb_build_object('lost', v_lost, 'cancel', v_cancel);
END $$;

-- The tick: true for one caller once the last one is so old. A last tick in the future (a clock set back) does not block the next.
CREATE FUNCTION take_tick(p_after_ms integer) RETURNS boolean LANGUAGE sql AS $$
  WITH taken AS (
    UPDATE fleet SET ticked_at = clock_timestamp()
    WHERE ticked_at <= clock_timestamp() - p_after_ms * interval '1 millisecond' OR ticked_at > clock_timestamp() RETURNING 1
  ) SELECT EXISTS (SELECT FROM taken)
$$;

-- Ages every living node by one tick; at three without a beat it is dead. Answers how many died.
CREATE FUNCTION age_nodes() RETURNS integer LANGUAGE sql AS $$
  WITH locked AS (
    SELECT id FROM nodes WHERE status IN ('active', 'draining') ORDER BY id FOR UPDATE
  ), aged AS (
    UPDATE nodes n SET missed = n.missed + 1, status = CASE WHEN n.missed + 1 >= 3 THEN 'inactive' ELSE n.status END,
      used = CASE WHEN n.missed + 1 >= 3 THEN 0 ELSE n.used END
    FROM locked l WHERE n.id = l.id RETURNING n.status
  ) SELECT count(*) FILTER (WHERE status = 'inactive')::integer FROM aged
$$;

-- Takes held runs from dead nodes, from living ones that twice did not name them, and from any node past the run's time.
CREATE FUNCTION take_lost(p_losses_max integer, p_limit integer) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_ids text[];
  v_items jsonb;
BEGIN
  SELECT array_agg(c.id) INTO v_ids FROM (SELECT l.id FROM lost_runs() l ORDER BY l.id LIMIT p_limit) c;
  IF v_ids IS NULL THEN
    RETURN '{"moved": [], "events": [], "offers": []}';
  END IF;
  PERFORM lock_runs(v_ids);
  SELECT jsonb_agg(jsonb_build_object(
    'run_id', r.id, 'status', CASE WHEN r.losses + 1 >= p_losses_max THEN 'failed' ELSE 'queued' END, 'attempt_status', 'lost',
    'losses', r.losses + 1, 'hand_backs', r.hand_backs, 'reason', 'lost', 'front', true,
    'failure', jsonb_build_object('code', 'worker_lost', 'message', 'the worker that ran this attempt was lost', 'retryable', true)))
  INTO v_items FROM runs r WHERE r.id IN (SELECT l.id FROM lost_runs() l) AND r.id = ANY (v_ids);
  IF v_items IS NULL THEN
    RETURN '{"moved": [], "events": [], "offers": []}';
  END IF;
  RETURN move_runs(v_items);
END $$;

CREATE FUNCTION lost_runs() RETURNS TABLE (id text) LANGUAGE sql VOLATILE AS $$
  SELECT r.id FROM runs r LEFT JOIN nodes n ON n.id = r.node_id
  WHERE r.status IN ('running', 'waiting') AND r.node_id IS NOT NULL AND (
    n.id IS NULL OR n.status IN ('inactive', 'disconnected')
    OR (r.unnamed_beats >= 2 AND r.attempt_started_at < now() - interval '3 seconds')
    OR r.attempt_started_at + (r.timeout_ms + 30000) * interval '1 millisecond' < now())
$$;

-- Ends queued runs that did not start in time, at most `p_limit`: those of sessions first, since others may wait behind them.
CREATE FUNCTION expire_runs(p_limit integer) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_ids text[];
  v_items jsonb;
BEGIN
  v_ids := ARRAY(SELECT r.id FROM runs r WHERE r.status = 'queued' AND r.started_at IS NULL AND (r.session_id IS NULL)::integer = 0
    AND r.expires_at <= now() ORDER BY r.expires_at LIMIT p_limit);
  v_ids := v_ids || ARRAY(SELECT r.id FROM runs r WHERE r.status = 'queued' AND r.started_at IS NULL AND (r.session_id IS NULL)::integer = 1
    AND r.expires_at <= now() ORDER BY r.expires_at LIMIT p_limit - cardinality(v_ids));
  IF v_ids = '{}' THEN
    RETURN '{"moved": [], "events": [], "offers": []}';
  END IF;
  PERFORM lock_runs(v_ids);
  SELECT jsonb_agg(jsonb_build_object('run_id', r.id, 'status', 'cancelled', 'failure',
    jsonb_build_object('code', 'expired', 'message', 'the run did not start before it expired', 'retryable', false)))
  INTO v_items FROM runs r WHERE r.id = ANY (v_ids) AND (r.status = 'queued') IS TRUE AND r.started_at IS NULL;
  IF v_items IS NULL THEN
    RETURN '{"moved": [], "events": [], "offers": []}';
  END IF;
  RETURN move_runs(v_items);
END $$;

-- Runs of sessions whose time has come, at most `p_limit`, the longest due first. Where there are more, each tenant's first come before any
-- tenant's second, and so on: what one has due by the thousand keeps nobody else waiting.
CREATE FUNCTION due_in_sessions(p_limit integer) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
  v_ids text[];
BEGIN
  v_ids := ARRAY(SELECT r.id FROM runs r WHERE r.status = 'queued' AND r.scheduled AND (r.session_id IS NULL)::integer = 0
    AND r.not_before <= now() ORDER BY r.not_before, r.run_order LIMIT p_limit);
  IF cardinality(v_ids) < p_limit THEN
    RETURN v_ids;
  END IF;
  RETURN ARRAY(
    -- from one tenant to the next, without a look at what each has
    WITH RECURSIVE tenants (id) AS (
      SELECT min(r.workspace_id) FROM runs r WHERE r.status = 'queued' AND r.scheduled AND r.session_id IS NOT NULL
      UNION ALL
      SELECT (SELECT min(r.workspace_id) FROM runs r
        WHERE r.status = 'queued' AND r.scheduled AND r.session_id IS NOT NULL AND r.workspace_id > t.id)
      FROM tenants t WHERE t.id IS NOT NULL
    )
    SELECT d.id FROM tenants t CROSS JOIN LATERAL (
      SELECT r.id, r.not_before, row_number() OVER (ORDER BY r.not_before, r.run_order) AS place FROM runs r
      WHERE r.status = 'queued' AND r.scheduled AND r.session_id IS NOT NULL AND r.workspace_id = t.id AND r.not_before <= now()
      ORDER BY r.not_before, r.run_order LIMIT p_limit
    ) d ORDER BY d.place, d.not_before LIMIT p_limit);
END $$;

-- Runs whose time has come, at most `p_limit`: their tasks are pending from now on, and those of a session join its order now. These first,
-- since they cannot start before; the gate lets the others start without being told.
-- Answers {taken: how many had come due, offers: [offer]}.
CREATE FUNCTION make_due(p_limit integer) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_ids text[];
  v_idle text[];
BEGIN
  v_ids := due_in_sessions(p_limit);
  v_ids := v_ids || ARRAY(SELECT r.id FROM runs r WHERE r.status = 'queued' AND r.scheduled AND (r.session_id IS NULL)::integer = 1
    AND r.not_before <= now() ORDER BY r.not_before, r.run_order LIMIT p_limit - cardinality(v_ids));
  IF v_ids = '{}' THEN
    RETURN '{"taken": 0, "offers": []}';
  END IF;
  PERFORM lock_runs(v_ids);
  WITH due AS (
    SELECT d.id, d.session_id, d.session_order, nextval('run_order') AS new_order FROM (
      SELECT r.id, r.session_id, r.session_order FROM runs r
      WHERE r.id = ANY (v_ids) AND (r.status = 'queued') IS TRUE AND r.scheduled ORDER BY r.not_before, r.run_order) d
  ), joined AS (
    UPDATE runs r SET scheduled = false, offerable_at = now(),
      session_order = CASE WHEN d.session_id IS NOT NULL THEN coalesce(d.session_order, d.new_order) END
    FROM due d WHERE r.id = d.id RETURNING r.id, r.task_id
  )
  UPDATE tasks t SET status = 'pending', updated_at = now() FROM joined j WHERE t.id = j.task_id AND t.run_id = j.id AND t.status = 'scheduled';
  SELECT array_agg(DISTINCT s.id) INTO v_idle FROM runs r JOIN sessions s ON s.id = r.session_id
  WHERE r.id = ANY (v_ids) AND s.current_run_id IS NULL;
  RETURN jsonb_build_object('taken', cardinality(v_ids), 'offers', CASE WHEN v_idle IS NULL THEN '[]' ELSE name_next(v_idle) END);
END $$;

-- Names a run in sessions that have queued runs but no current one (nothing should leave any).
CREATE FUNCTION mend_sessions(p_sessions text[]) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_idle text[];
BEGIN
  PERFORM 1 FROM sessions WHERE id = ANY (p_sessions) ORDER BY id FOR UPDATE;
  SELECT array_agg(s.id) INTO v_idle FROM sessions s WHERE s.id = ANY (p_sessions)
    AND NOT EXISTS (SELECT FROM runs r WHERE r.id = s.current_run_id AND r.status IN ('queued', 'running', 'waiting'))
    AND EXISTS (SELECT FROM runs r WHERE r.session_id = s.id AND r.status = 'queued' AND r.session_order IS NOT NULL);
  IF v_idle IS NULL THEN
    RETURN '[]';
  END IF;
  RETURN name_next(v_idle);
END $$;

-- Raises the epoch for a rebuild of the gate: no claim is under way while it does. Null within 3 s of the last raise.
CREATE FUNCTION raise_epoch() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  v_epoch bigint;
BEGIN
  -- asked often while the gate is cold: the lock, which waits for claims and makes them wait, is taken only for a raise
  IF NOT EXISTS (SELECT FROM fleet WHERE raised_at <= clock_timestamp() - interval '3 seconds' OR raised_at > clock_timestamp()) THEN
    RETURN NULL;
  END IF;
  PERFORM pg_advisory_xact_lock(74, 1);
  UPDATE fleet SET epoch = epoch + 1, raised_at = clock_timestamp()
  WHERE raised_at <= clock_timestamp() - interval '3 seconds' OR raised_at > clock_timestamp() RETURNING epoch INTO v_epoch;
  RETURN v_epoch;
END $$;

-- Burns the admission of a stale slot: a claim that is still on its way with it will be refused. True when the run runs under it after all.
CREATE FUNCTION burn_admission(p_run text, p_admission bigint) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  UPDATE runs SET admission = p_admission WHERE id = p_run AND (status = 'queued') IS TRUE AND admission < p_admission;
  RETURN EXISTS (SELECT FROM runs WHERE id = p_run AND status IN ('running', 'waiting') AND admission = p_admission);
END $$;
