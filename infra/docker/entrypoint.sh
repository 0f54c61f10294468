#!/bin/sh
# Starts one role of the image. The process takes the shell's place, so that it gets the signals itself.
set -eu
role=${1:-}
case $role in
  gateway | worker) exec node "/app/apps/$role/src/main.ts" ;;
  migrate) exec node /app/apps/cli/src/main.ts migrate ;;
  *)
    echo "unknown role '$role': use gateway, worker or migrate" >&2
    exit 2
    ;;
esac
