-- The tables of the road of a command. Ids sort by time, so they are compared byte by byte (collation "C").

CREATE SEQUENCE config_version;
CREATE SEQUENCE run_order;

CREATE TABLE fleet (
  id            integer PRIMARY KEY DEFAULT 1 CHECK (id = 1),
  epoch         bigint NOT NULL DEFAULT 1,
  raised_at     timestamptz NOT NULL DEFAULT '-infinity',
  ticked_at     timestamptz NOT NULL DEFAULT '-infinity',
  sessions_root text,
  -- when each duty last ended well, by the clock of Postgres: {name: time}; written once a tick by whoever did it, so that any gateway can tell
  duty_marks    jsonb NOT NULL DEFAULT '{}'
);
INSERT INTO fleet DEFAULT VALUES;

CREATE TABLE workspaces (
  id                text COLLATE "C" PRIMARY KEY,
  key               text COLLATE "C" NOT NULL UNIQUE,
  name              text NOT NULL,
  concurrency_limit integer,
  max_waiting       integer,
  weight            double precision NOT NULL DEFAULT 1,
  paused            boolean NOT NULL DEFAULT false,
  config_version    bigint NOT NULL DEFAULT nextval('config_version'),
  configured_at     timestamptz NOT NULL DEFAULT now(),
  created_at        timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX workspaces_configured_at ON workspaces (configured_at);

CREATE TABLE api_keys (
  id           text COLLATE "C" PRIMARY KEY,
  workspace_id text COLLATE "C" NOT NULL REFERENCES workspaces,
  name         text,
  hash         bytea NOT NULL UNIQUE,
  created_at   timestamptz NOT NULL DEFAULT now(),
  revoked_at   timestamptz
);
CREATE INDEX api_keys_workspace_id ON api_keys (workspace_id);

CREATE TABLE agents (
  id             text COLLATE "C" PRIMARY KEY,
  workspace_id   text COLLATE "C" NOT NULL REFERENCES workspaces,
  key            text COLLATE "C" NOT NULL,
  name           text NOT NULL,
  config         jsonb NOT NULL,
  limits         jsonb NOT NULL,
  weight         double precision NOT NULL DEFAULT 1,
  active         boolean NOT NULL DEFAULT true,
  paused         boolean NOT NULL DEFAULT false,
  version        integer NOT NULL DEFAULT 1,
  config_version bigint NOT NULL DEFAULT nextval('config_version'),
  configured_at  timestamptz NOT NULL DEFAULT now(),
  created_at     timestamptz NOT NULL DEFAULT now(),
  updated_at     timestamptz NOT NULL DEFAULT now(),
  deleted_at     timestamptz
);
CREATE UNIQUE INDEX agents_key ON agents (workspace_id, key) WHERE deleted_at IS NULL;
CREATE INDEX agents_workspace_id ON agents (workspace_id, id);
CREATE INDEX agents_configured_at ON agents (configured_at);

CREATE TABLE agent_versions (
  agent_id   text COLLATE "C" NOT NULL REFERENCES agents,
  version    integer NOT NULL,
  config     jsonb NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (agent_id, version)
);

CREATE TABLE classes (
  key               text COLLATE "C" PRIMARY KEY,
  workspace_id      text COLLATE "C" NOT NULL,
  agent_id          text COLLATE "C" NOT NULL,
  agent_key         text COLLATE "C" NOT NULL,
  lane              text COLLATE "C" NOT NULL,
  pool              text NOT NULL,
  policy            jsonb NOT NULL,
  concurrency_limit integer,
  weight            double precision NOT NULL DEFAULT 1,
  paused            boolean NOT NULL DEFAULT false,
  config_version    bigint NOT NULL DEFAULT 0,
  configured_at     timestamptz NOT NULL DEFAULT now(),
  -- about when a command was last sent to it, to the hour
  seen_at           timestamptz NOT NULL DEFAULT now(),
  created_at        timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX classes_workspace_id ON classes (workspace_id, key);
CREATE INDEX classes_configured_at ON classes (configured_at) WHERE config_version > 0;

CREATE TABLE sessions (
  id             text COLLATE "C" PRIMARY KEY,
  workspace_id   text COLLATE "C" NOT NULL,
  agent_id       text COLLATE "C" NOT NULL,
  agent_key      text COLLATE "C" NOT NULL,
  key            text COLLATE "C" NOT NULL,
  current_run_id text COLLATE "C",
  named_at       timestamptz,
  created_at     timestamptz NOT NULL DEFAULT now(),
  last_active_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (workspace_id, agent_id, key)
);
CREATE INDEX sessions_workspace_id ON sessions (workspace_id, id);
CREATE INDEX sessions_named_at ON sessions (named_at) WHERE current_run_id IS NOT NULL;

CREATE TABLE tasks (
  id              text COLLATE "C" PRIMARY KEY,
  workspace_id    text COLLATE "C" NOT NULL,
  agent_id        text COLLATE "C" NOT NULL,
  agent_key       text COLLATE "C" NOT NULL,
  type            text NOT NULL,
  status          text NOT NULL,
  run_id          text COLLATE "C" NOT NULL,
  -- its runs before that one, in their order
  past_run_ids    text[] COLLATE "C" NOT NULL DEFAULT '{}',
  session_id      text COLLATE "C",
  label           text,
  lane            text COLLATE "C" NOT NULL,
  priority        integer NOT NULL,
  metadata        jsonb NOT NULL,
  idempotency_key text COLLATE "C",
  fingerprint     bytea,
  -- the files that came with the command, whole: [{name, media_type, text | base64}]; null for none
  attachments     jsonb,
  output          jsonb,
  failure         jsonb,
  created_at      timestamptz NOT NULL DEFAULT now(),
  updated_at      timestamptz NOT NULL DEFAULT now(),
  -- only an ended task is archived: whatever gives it work again clears this. No CHECK says so: one is read anew by every statement that
  -- writes a task, which costs more than the write.
  archived_at     timestamptz
)
-- Half of a page is left for what becomes of its rows: a batch moves all tasks of a page at once, and a row that finds no room beside its
-- older version costs an entry in every index.
WITH (fillfactor = 50);
CREATE UNIQUE INDEX tasks_idempotency_key ON tasks (workspace_id, agent_id, idempotency_key) WHERE idempotency_key IS NOT NULL;
-- A row is in one of the two, so that hidden tasks cost a list nothing, and accepting a command no third index.
CREATE INDEX tasks_listed ON tasks (workspace_id, id) WITH (deduplicate_items = off) WHERE archived_at IS NULL;
CREATE INDEX tasks_archived ON tasks (workspace_id, id) WHERE archived_at IS NOT NULL;

-- All runs of a task, in their order.
CREATE FUNCTION run_of_task(t tasks) RETURNS SETOF text LANGUAGE sql IMMUTABLE AS $$ SELECT unnest(t.past_run_ids || t.run_id) $$;

CREATE TABLE runs (
  -- a run's moves enter it anew in some indexes, this one among them: the room for that is left when it is accepted, in its order
  id                  text COLLATE "C" PRIMARY KEY WITH (fillfactor = 30),
  task_id             text COLLATE "C" NOT NULL,
  task_type           text NOT NULL,
  workspace_id        text COLLATE "C" NOT NULL,
  agent_id            text COLLATE "C" NOT NULL,
  agent_key           text COLLATE "C" NOT NULL,
  agent_version       integer NOT NULL,
  session_id          text COLLATE "C",
  lane                text COLLATE "C" NOT NULL,
  class_key           text COLLATE "C" NOT NULL,
  pool                text NOT NULL,
  job_name            text COLLATE "C" NOT NULL,
  status              text NOT NULL,
  generation          integer NOT NULL DEFAULT 0,
  admission           bigint NOT NULL DEFAULT 0,
  attempt_number      integer NOT NULL DEFAULT 0,
  attempt_count       integer NOT NULL DEFAULT 0,
  max_attempts        integer NOT NULL,
  losses              integer NOT NULL DEFAULT 0,
  hand_backs          integer NOT NULL DEFAULT 0,
  unnamed_beats       integer NOT NULL DEFAULT 0,
  priority            integer NOT NULL,
  run_order           bigint NOT NULL,
  session_order       bigint,
  front               boolean NOT NULL DEFAULT false,
  scheduled           boolean NOT NULL DEFAULT false,
  message             text NOT NULL,
  -- what came with it: [{name, media_type, bytes}]; the files themselves are its task's
  attachments         jsonb,
  extra_system_prompt text,
  policy              jsonb NOT NULL,
  timeout_ms          integer NOT NULL,
  not_before          timestamptz,
  expires_at          timestamptz,
  -- since when it may be offered, as far as its session and its time let it; of a queued run never null
  offerable_at        timestamptz,
  accepted_at         timestamptz NOT NULL DEFAULT now(),
  queued_at           timestamptz NOT NULL DEFAULT now(),
  started_at          timestamptz,
  attempt_started_at  timestamptz,
  ended_at            timestamptz,
  node_id             text COLLATE "C",
  cancel_requested_at timestamptz,
  cancel_code         text,
  cancel_reason       text,
  output              jsonb,
  output_truncated    boolean NOT NULL DEFAULT false,
  failure             jsonb,
  usage               jsonb,
  label               text,
  metadata            jsonb NOT NULL,
  last_seq            integer NOT NULL DEFAULT 1,
  -- the event and the snapshot that say that its last attempt began
  started_seq         integer NOT NULL DEFAULT 0,
  started_snapshot    integer NOT NULL DEFAULT 0,
  -- the last append of the attempt: its number, its first event and the snapshot before it, so that a repeated append is recognized
  flush               integer NOT NULL DEFAULT 0,
  flush_seq           integer NOT NULL DEFAULT 0,
  flush_snapshot      integer NOT NULL DEFAULT 0,
  last_snapshot       integer NOT NULL DEFAULT 1,
  -- the W3C trace context in which the command was accepted: the run's spans belong to it, in whichever process
  traceparent         text
);
-- Every index is a price of every statement that writes a run, even where the run does not enter it: what can share one does.
CREATE INDEX runs_workspace_id ON runs (workspace_id, id) WITH (fillfactor = 30, deduplicate_items = off);
-- The backlog, the longest waiting first.
CREATE INDEX runs_backlog ON runs (offerable_at, id) WITH (deduplicate_items = off) WHERE status = 'queued';
-- The runs of one lane by state, for the board, and those that count against `max_waiting`: lanes of an agent, and of a workspace, have
-- names that begin alike. A run enters when it is accepted and when it ends, not when it is claimed; those that are held are few.
CREATE INDEX runs_lane ON runs (status, job_name, id) WITH (deduplicate_items = off) WHERE status NOT IN ('running', 'waiting');
-- scheduled runs too, which have no place in the session's order yet: they keep the session from being removed
CREATE INDEX runs_session_queue ON runs (session_id, session_order) WHERE status = 'queued' AND session_id IS NOT NULL;
-- The runs of sessions and the others apart, each by time: what is due of the one is found without a look at the other.
CREATE INDEX runs_scheduled ON runs (((session_id IS NULL)::integer), not_before, run_order) WHERE status = 'queued' AND scheduled;
-- Those of sessions by tenant too, for when more are due than can join at once.
CREATE INDEX runs_scheduled_tenant ON runs (workspace_id, not_before, run_order)
WHERE status = 'queued' AND scheduled AND session_id IS NOT NULL;
CREATE INDEX runs_expires_at ON runs (((session_id IS NULL)::integer), expires_at)
WHERE status = 'queued' AND expires_at IS NOT NULL AND started_at IS NULL;
CREATE INDEX runs_held ON runs (node_id) WHERE status IN ('running', 'waiting');
CREATE INDEX runs_label ON runs (label COLLATE "C", id DESC) WHERE label IS NOT NULL;
-- Two runs of a session can never be held at once, whatever else goes wrong.
CREATE UNIQUE INDEX runs_session_held ON runs (session_id) WHERE status IN ('running', 'waiting');

-- The attempts that are over. That of a held run is told by the run itself.
CREATE TABLE ended_attempts (
  run_id           text COLLATE "C" NOT NULL,
  number           integer NOT NULL,
  session_id       text COLLATE "C",
  generation       integer NOT NULL,
  admission        bigint NOT NULL,
  node_id          text COLLATE "C" NOT NULL,
  runtime          text NOT NULL,
  status           text NOT NULL,
  started_at       timestamptz NOT NULL,
  -- the event and the snapshot that say so
  started_seq      integer NOT NULL,
  started_snapshot integer NOT NULL,
  ended_at         timestamptz NOT NULL,
  exit_code        integer,
  failure          jsonb,
  limits           jsonb NOT NULL,
  PRIMARY KEY (run_id, number)
);
-- Those of a session in their order: a later attempt has a higher admission, whatever a clock does.
CREATE INDEX ended_attempts_session ON ended_attempts (session_id, admission) WHERE session_id IS NOT NULL;

CREATE VIEW attempts AS
  SELECT run_id, number, session_id, generation, admission, node_id, runtime, status, started_at, ended_at, exit_code, failure, limits
  FROM ended_attempts
  UNION ALL
  SELECT id, attempt_number, session_id, generation, admission, node_id, pool, 'running', attempt_started_at, NULL, NULL, NULL, '{}'::jsonb
  FROM runs WHERE status IN ('running', 'waiting');

-- The events of runs that nothing else tells, in order. Some are a snapshot besides: a status of the run, or a state that its agent saved.
CREATE TABLE noted_events (
  run_id   text COLLATE "C" NOT NULL,
  seq      integer NOT NULL,
  attempt  integer,
  type     text NOT NULL,
  -- whole milliseconds, so that a live copy and a stored one read the same
  at       timestamptz NOT NULL DEFAULT date_trunc('milliseconds', now()),
  data     jsonb NOT NULL,
  snapshot integer,
  status   text,
  state    jsonb,
  PRIMARY KEY (run_id, seq)
);

-- All that happened in a run, in order: when it was accepted, started and ended is read from its own row and its attempts'.
CREATE VIEW events AS
  SELECT run_id, seq, attempt, type, at, data, snapshot, status, state FROM noted_events
  UNION ALL
  SELECT id, 1, NULL, 'run.queued', date_trunc('milliseconds', accepted_at), '{}'::jsonb, 1, 'queued', NULL FROM runs
  UNION ALL
  SELECT run_id, started_seq, number, 'run.started', date_trunc('milliseconds', started_at),
    jsonb_build_object('attempt', number, 'node_id', node_id), started_snapshot, 'running', NULL
  FROM ended_attempts
  UNION ALL
  SELECT id, started_seq, attempt_number, 'run.started', date_trunc('milliseconds', attempt_started_at),
    jsonb_build_object('attempt', attempt_number, 'node_id', node_id), started_snapshot, 'running', NULL
  FROM runs WHERE status IN ('running', 'waiting')
  UNION ALL
  SELECT id, last_seq, nullif(attempt_number, 0), 'run.finished', date_trunc('milliseconds', ended_at),
    jsonb_build_object('status', status, 'output', output, 'failure', failure), last_snapshot, status, NULL
  FROM runs WHERE status NOT IN ('queued', 'running', 'waiting');

-- Snapshots have the order of their events, so that they are read by the key of these.
CREATE VIEW snapshots AS SELECT run_id, snapshot AS seq, attempt, status, state, at, seq AS event_seq FROM events WHERE snapshot IS NOT NULL;

CREATE TABLE nodes (
  id            text COLLATE "C" PRIMARY KEY,
  host          text NOT NULL,
  host_identity text NOT NULL,
  pid           integer NOT NULL,
  address       text,
  pools         jsonb NOT NULL,
  labels        jsonb NOT NULL,
  metadata      jsonb NOT NULL,
  used          integer NOT NULL DEFAULT 0,
  status        text NOT NULL,
  missed        integer NOT NULL DEFAULT 0,
  claiming      jsonb NOT NULL DEFAULT '[]',
  version       text NOT NULL,
  registered_at timestamptz NOT NULL DEFAULT now(),
  last_beat_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX nodes_living ON nodes (id) WHERE status IN ('active', 'draining');

-- The legal pairs of each lifecycle. A new pair ships one release before it is used.
CREATE TABLE legal_transitions (
  noun        text NOT NULL,
  from_status text NOT NULL,
  to_status   text NOT NULL,
  PRIMARY KEY (noun, from_status, to_status)
);
INSERT INTO legal_transitions (noun, from_status, to_status) VALUES
  ('run', 'queued', 'running'), ('run', 'queued', 'cancelled'),
  ('run', 'running', 'waiting'), ('run', 'running', 'queued'), ('run', 'running', 'succeeded'), ('run', 'running', 'failed'),
  ('run', 'running', 'timed_out'), ('run', 'running', 'cancelled'),
  ('run', 'waiting', 'running'), ('run', 'waiting', 'queued'), ('run', 'waiting', 'failed'), ('run', 'waiting', 'timed_out'),
  ('run', 'waiting', 'cancelled'),
  ('task', 'blocked', 'pending'), ('task', 'blocked', 'scheduled'), ('task', 'blocked', 'cancelled'), ('task', 'blocked', 'dead_letter'),
  ('task', 'scheduled', 'pending'), ('task', 'scheduled', 'running'), ('task', 'scheduled', 'cancelled'),
  ('task', 'pending', 'running'), ('task', 'pending', 'claimed'), ('task', 'pending', 'scheduled'), ('task', 'pending', 'cancelled'),
  ('task', 'claimed', 'pending'), ('task', 'claimed', 'scheduled'), ('task', 'claimed', 'completed'), ('task', 'claimed', 'dead_letter'),
  ('task', 'claimed', 'cancelled'),
  ('task', 'running', 'waiting'), ('task', 'running', 'pending'), ('task', 'running', 'scheduled'), ('task', 'running', 'completed'),
  ('task', 'running', 'dead_letter'), ('task', 'running', 'cancelled'),
  ('task', 'waiting', 'running'), ('task', 'waiting', 'pending'), ('task', 'waiting', 'scheduled'), ('task', 'waiting', 'dead_letter'),
  ('task', 'waiting', 'cancelled'),
  ('task', 'completed', 'pending'), ('task', 'completed', 'scheduled'),
  ('task', 'dead_letter', 'pending'), ('task', 'dead_letter', 'scheduled');

CREATE FUNCTION guard_run() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.generation < OLD.generation THEN
    RAISE EXCEPTION 'generation of run % falls from % to %', OLD.id, OLD.generation, NEW.generation USING ERRCODE = 'MU001';
  END IF;
  IF NEW.status IS DISTINCT FROM OLD.status THEN
    IF NOT EXISTS (SELECT FROM legal_transitions WHERE noun = 'run' AND from_status = OLD.status AND to_status = NEW.status) THEN
      RAISE EXCEPTION 'run % cannot go from % to %', OLD.id, OLD.status, NEW.status USING ERRCODE = 'MU002';
    END IF;
    IF OLD.status IN ('running', 'waiting') AND NEW.generation = OLD.generation THEN
      RAISE EXCEPTION 'run % leaves % without a higher generation', OLD.id, OLD.status USING ERRCODE = 'MU003';
    END IF;
  END IF;
  RETURN NEW;
END $$;
-- The moves of every day are judged here, which costs a fraction of a call; all others by the table. A condition is read anew by every
-- statement, so it is short.
CREATE TRIGGER guard_run BEFORE UPDATE OF status, generation ON runs FOR EACH ROW
WHEN (NEW.generation <= OLD.generation OR OLD.status || NEW.status <> ALL ('{queuedrunning,runningsucceeded,runningfailed}'))
EXECUTE FUNCTION guard_run();

CREATE FUNCTION guard_task() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.status IS DISTINCT FROM OLD.status
     AND NOT EXISTS (SELECT FROM legal_transitions WHERE noun = 'task' AND from_status = OLD.status AND to_status = NEW.status) THEN
    RAISE EXCEPTION 'task % cannot go from % to %', OLD.id, OLD.status, NEW.status USING ERRCODE = 'MU002';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER guard_task BEFORE UPDATE OF status ON tasks FOR EACH ROW
WHEN (OLD.status || NEW.status <> ALL ('{pendingrunning,runningcompleted,runningdead_letter}'))
EXECUTE FUNCTION guard_task();
