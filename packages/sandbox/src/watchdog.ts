import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { Socket } from 'node:net'
import { GROUP_MOUNTS } from './find-sandboxes.ts'
import { shieldedDescriptors } from './inherited-descriptors.ts'

export type Watchdog = {
  /** What the name of every sandbox of this worker ends in. */
  readonly token: string
  /** Sees to it that the watchdog runs, and throws where it does not. Call before each start. */
  ensure(): void
}

/** An OCI runtime and where it keeps what it knows of its containers, for those to be ended too. */
export type OciStates = { readonly runtime: string; readonly states: string }

/**
 * Waits for the end of stdin, which is the end of the worker, then for two seconds kills whatever carries the token. All
 * comes on stdin so that neither this process nor its greps carry it themselves. An agent may write over the arguments of its
 * init, and make it forget to die with its parent; a mount of its sandbox it cannot take away. Mounts of the host are everybody's:
 * runc, for one, mounts its own program for a moment at a path that holds the token, and who shares them is no sandbox.
 */
const SCRIPT = `
IFS= read -r token && [ -n "$token" ] || exit
IFS= read -r runtime
IFS= read -r states
read -r end
round=0
while [ $round -lt 40 ]; do
  for file in $(printf '%s\\n' "$token" | grep -lsF -f - /proc/[0-9]*/cmdline /proc/[0-9]*/environ); do
    pid=\${file#/proc/}
    kill -KILL "\${pid%%/*}"
  done
  for file in $(printf ' ${GROUP_MOUNTS}/[^ ]*%s \\n' "$token" | grep -ls -f - /proc/[0-9]*/mountinfo); do
    pid=\${file#/proc/}
    [ "\${file%mountinfo}ns/mnt" -ef /proc/self/ns/mnt ] || kill -KILL "\${pid%%/*}"
  done
  [ -z "$runtime" ] || for state in "$states"/*; do
    [ ! -e "$state" ] || "$runtime" --root "$states" delete --force "\${state##*/}" 2>/dev/null
  done
  round=$((round + 1))
  sleep 0.05
done
[ -z "$states" ] || rm -rf "$states"
`

/**
 * One small process beside a worker, which ends the worker's sandboxes should it die. The kernel's own signal for the death
 * of a parent is sent too early to a sandbox that is just being set up: it ends the monitor and orphans the init. Runs as
 * the worker's user, so that no agent can stop it.
 */
export function createWatchdog(token: string = randomUUID(), oci?: OciStates): Watchdog {
  let dog: ChildProcess | null = null

  function ensure(): void {
    if (dog !== null) return
    const child = spawn('/bin/sh', ['-c', SCRIPT], {
      stdio: shieldedDescriptors(['pipe', 'ignore', 'ignore']),
      env: {},
      cwd: '/',
      detached: true,
    })
    const forget = () => {
      if (dog === child) dog = null
    }
    child.on('error', forget)
    child.on('exit', forget)
    if (child.pid === undefined || !(child.stdin instanceof Socket)) throw new Error('the watchdog does not start')
    child.stdin.on('error', forget)
    child.stdin.write(`${token}\n${oci?.runtime ?? ''}\n${oci?.states ?? ''}\n`)
    // Neither keeps a worker alive that has nothing else to do.
    child.unref()
    child.stdin.unref()
    dog = child
  }

  return { token, ensure }
}
