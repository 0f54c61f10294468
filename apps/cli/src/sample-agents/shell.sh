#!/bin/sh
# Runs the message as a bash script in the session's folder. Its output streams as it is written; its exit code is the run's.
set -eu
script=$(mktemp)
head -n 1 | node -p 'JSON.parse(require("node:fs").readFileSync(0, "utf8")).message' >"$script"
cd "${MUSTER_WORKSPACE_FOLDER:-/workspace}"
exec bash "$script" </dev/null
