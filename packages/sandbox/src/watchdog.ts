import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { Socket } from 'node:net'
import type { SandboxUser } from './sandbox-user.ts'

export type Watchdog = {
  /** What the name of every sandbox of this worker ends in. */
  readonly token: string
  /** Sees to it that the watchdog runs. Call before each start. */
  ensure(): void
}

/**
 * Waits for the end of stdin, which is the end of the worker, then for two seconds kills whatever carries the token. It
 * comes on stdin so that neither this process nor its greps carry it themselves.
 */
const SCRIPT = `
IFS= read -r token || exit
read -r end
round=0
while [ $round -lt 40 ]; do
  for file in $(printf '%s\\n' "$token" | grep -lsF -f - /proc/[0-9]*/cmdline /proc/[0-9]*/environ); do
    pid=\${file#/proc/}
    kill -KILL "\${pid%%/*}"
  done
  round=$((round + 1))
  sleep 0.05
done
`

/**
 * One small process beside a worker, which ends the worker's sandboxes should it die. The kernel's own signal for the death
 * of a parent is sent too early to a sandbox that is just being set up: it ends the monitor and orphans the init. Runs as
 * the agents' user, so that it can harm nothing else.
 */
export function createWatchdog(user: SandboxUser | null): Watchdog {
  const token = randomUUID()
  let dog: ChildProcess | null = null

  function ensure(): void {
    if (dog !== null) return
    const child = spawn('/bin/sh', ['-c', SCRIPT], {
      stdio: ['pipe', 'ignore', 'ignore'],
      env: {},
      cwd: '/',
      detached: true,
      ...(user ?? {}),
    })
    const forget = () => {
      if (dog === child) dog = null
    }
    child.on('error', forget)
    child.on('exit', forget)
    child.stdin.on('error', forget)
    child.stdin.write(`${token}\n`)
    // Neither keeps a worker alive that has nothing else to do.
    child.unref()
    if (child.stdin instanceof Socket) child.stdin.unref()
    dog = child
  }

  return { token, ensure }
}
