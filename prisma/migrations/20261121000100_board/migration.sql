-- What operators look up on the board: the runs of one lane by status, and runs by the beginning of their label.
CREATE INDEX runs_job_name ON runs (job_name COLLATE "C", status, id);
CREATE INDEX runs_label ON runs (label COLLATE "C", id DESC) WHERE label IS NOT NULL;
