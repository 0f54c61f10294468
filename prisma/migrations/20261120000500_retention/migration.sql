-- How finished work is removed when its time is over: a bounded number of rows a call, by one caller at a time. A call that finds another
-- under way answers null. Whatever is cut short is gone on with by the next call.

-- Runs that are gone, of which attempts and events may be left; nobody reads those without the run.
CREATE TABLE removed_runs (
  run_id text COLLATE "C" PRIMARY KEY
);

-- Folders, below the root that the workers share, of sessions and runs that are gone. A worker deletes the folder, then the row.
CREATE TABLE removed_folders (
  name       text COLLATE "C" PRIMARY KEY,
  removed_at timestamptz NOT NULL DEFAULT now()
);

CREATE FUNCTION begin_removal() RETURNS boolean LANGUAGE sql VOLATILE AS $$ SELECT pg_try_advisory_xact_lock(74, 2) $$;

-- Looks at the next tasks by id, and removes with all their runs those that ended so long ago: for a reader a task goes whole.
-- Answers {removed, next}: go on after `next`, null at the end.
CREATE FUNCTION remove_tasks(p_after text, p_before text, p_days integer, p_limit integer) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_page text[];
  v_gone text[];
BEGIN
  IF NOT begin_removal() THEN
    RETURN NULL;
  END IF;
  SELECT array_agg(p.id ORDER BY p.id) INTO v_page FROM (
    SELECT t.id FROM tasks t WHERE t.id > p_after AND t.id < p_before ORDER BY t.id LIMIT p_limit) p;
  SELECT array_agg(t.id) INTO v_gone FROM tasks t
  WHERE t.id = ANY (v_page) AND t.status IN ('completed', 'dead_letter', 'cancelled') AND t.updated_at < now() - p_days * interval '1 day';
  IF v_gone IS NOT NULL THEN
    PERFORM 1 FROM runs r WHERE r.id IN (SELECT run_of_task(t) FROM tasks t WHERE t.id = ANY (v_gone)) ORDER BY r.id FOR UPDATE;
    -- judged again under the lock: a task that was just requeued has work
    SELECT array_agg(l.id) INTO v_gone FROM (
      SELECT t.id, t.run_id FROM tasks t WHERE t.id = ANY (v_gone) AND t.status IN ('completed', 'dead_letter', 'cancelled')
        AND t.updated_at < now() - p_days * interval '1 day' ORDER BY t.id FOR UPDATE) l
    WHERE NOT EXISTS (SELECT FROM runs r WHERE r.id = l.run_id AND r.status IN ('queued', 'running', 'waiting'));
    WITH gone AS (
      DELETE FROM runs r WHERE r.id IN (SELECT run_of_task(t) FROM tasks t WHERE t.id = ANY (v_gone)) RETURNING r.id, r.session_id, r.status, r.attempt_number
    ), listed AS (
      INSERT INTO removed_runs (run_id) SELECT g.id FROM gone g
    ), folders AS (
      -- a run without a session takes its folder along when it ends, unless its worker was lost with it
      INSERT INTO removed_folders (name) SELECT g.id FROM gone g WHERE g.session_id IS NULL AND g.attempt_number > 0 AND g.status <> 'succeeded'
    )
    DELETE FROM tasks t WHERE t.id = ANY (v_gone);
  END IF;
  RETURN jsonb_build_object('removed', coalesce(cardinality(v_gone), 0),
    'next', CASE WHEN cardinality(v_page) = p_limit THEN v_page[p_limit] END);
END $$;

-- Removes what is left of removed runs, at most so many rows of each kind and run; answers how many rows went. 0: nothing is left.
CREATE FUNCTION remove_leftovers(p_limit integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  v_run text;
  v_rows integer;
  v_of_run integer;
  v_all integer := 0;
BEGIN
  IF NOT begin_removal() THEN
    RETURN NULL;
  END IF;
  FOR v_run IN SELECT l.run_id FROM removed_runs l ORDER BY l.run_id LIMIT p_limit LOOP
    DELETE FROM noted_events WHERE run_id = v_run AND seq <= (SELECT min(seq) + p_limit - 1 FROM noted_events WHERE run_id = v_run);
    GET DIAGNOSTICS v_of_run = ROW_COUNT;
    DELETE FROM ended_attempts WHERE run_id = v_run AND number <= (SELECT min(number) + p_limit - 1 FROM ended_attempts WHERE run_id = v_run);
    GET DIAGNOSTICS v_rows = ROW_COUNT;
    v_of_run := v_of_run + v_rows;
    -- not told by the number that went: the log has a hole where an attempt began
    IF NOT EXISTS (SELECT FROM noted_events WHERE run_id = v_run) AND NOT EXISTS (SELECT FROM ended_attempts WHERE run_id = v_run) THEN
      DELETE FROM removed_runs WHERE run_id = v_run;
      v_of_run := v_of_run + 1;
    END IF;
    v_all := v_all + v_of_run;
    EXIT WHEN v_all >= p_limit;
  END LOOP;
  RETURN v_all;
END $$;

-- Looks at the next sessions by id, and removes those that nothing has used for so long and of which nothing is left. One whose row
-- somebody holds is in use.
CREATE FUNCTION remove_sessions(p_after text, p_before text, p_days integer, p_limit integer) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_page text[];
  v_gone text[];
BEGIN
  IF NOT begin_removal() THEN
    RETURN NULL;
  END IF;
  SELECT array_agg(p.id ORDER BY p.id) INTO v_page FROM (
    SELECT s.id FROM sessions s WHERE s.id > p_after AND s.id < p_before ORDER BY s.id LIMIT p_limit) p;
  SELECT array_agg(l.id) INTO v_gone FROM (
    SELECT s.id FROM sessions s WHERE s.id = ANY (v_page) AND s.current_run_id IS NULL
      AND s.last_active_at < now() - p_days * interval '1 day' ORDER BY s.id FOR UPDATE SKIP LOCKED) l;
  IF v_gone IS NOT NULL THEN
    -- a statement of its own, which sees what came in before the locks; who comes after them finds no row
    WITH gone AS (
      DELETE FROM sessions s WHERE s.id = ANY (v_gone)
        AND NOT EXISTS (SELECT FROM runs r WHERE r.session_id = s.id AND r.status = 'queued')
        AND NOT EXISTS (SELECT FROM ended_attempts a WHERE a.session_id = s.id)
      RETURNING s.id
    ), folders AS (
      INSERT INTO removed_folders (name) SELECT g.id FROM gone g
    )
    SELECT array_agg(g.id) INTO v_gone FROM gone g;
  END IF;
  RETURN jsonb_build_object('removed', coalesce(cardinality(v_gone), 0),
    'next', CASE WHEN cardinality(v_page) = p_limit THEN v_page[p_limit] END);
END $$;

-- Looks at the next execution classes by key, and removes those that have no settings, to which no command was sent for so long, and whose
-- lane has no run. Whoever sends commands makes a class known again before an hour is over, so that none goes that is in use.
CREATE FUNCTION remove_classes(p_after text, p_days integer, p_limit integer) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_page text[];
  v_gone integer;
BEGIN
  IF NOT begin_removal() THEN
    RETURN NULL;
  END IF;
  SELECT array_agg(p.key ORDER BY p.key) INTO v_page FROM (
    SELECT c.key FROM classes c WHERE c.key > p_after ORDER BY c.key LIMIT p_limit) p;
  DELETE FROM classes c WHERE c.key = ANY (v_page) AND c.config_version = 0 AND c.seen_at < now() - p_days * interval '1 day'
    AND NOT EXISTS (SELECT FROM runs r WHERE r.status IN ('running', 'waiting') AND r.class_key = c.key)
    AND NOT EXISTS (SELECT FROM workspaces w JOIN runs r ON r.job_name = w.key || '/' || c.agent_key || '/' || c.lane
      WHERE w.id = c.workspace_id AND r.status IN ('queued', 'succeeded', 'failed', 'timed_out', 'cancelled'));
  GET DIAGNOSTICS v_gone = ROW_COUNT;
  RETURN jsonb_build_object('removed', v_gone, 'next', CASE WHEN cardinality(v_page) = p_limit THEN v_page[p_limit] END);
END $$;
