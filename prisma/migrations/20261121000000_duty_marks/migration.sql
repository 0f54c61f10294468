-- When each duty last ended well, by the clock of Postgres: {name: time}. Written once a tick by whoever did it, so that any gateway can tell.
ALTER TABLE fleet ADD COLUMN duty_marks jsonb NOT NULL DEFAULT '{}';
