import { type ChildProcess, spawn } from 'node:child_process'
import type { SandboxUser } from './sandbox-user.ts'

export type GroupWatchdog = {
  /** Has a process group killed should this process end before the returned function is called. */
  watch(group: number): () => void
}

/** Remembers groups told on stdin; its end means that the worker is gone, however it went. */
const SCRIPT = `
groups=' '
while read -r change group; do
  case $change in
    add) groups="$groups$group " ;;
    drop) groups="\${groups%% "$group" *} \${groups#* "$group" }" ;;
  esac
done
for group in $groups; do kill -KILL "-$group"; done
`

/** One small process beside the worker, as the agents' user, so that it could harm nothing else. Another takes over when it dies. */
export function createGroupWatchdog(user: SandboxUser | null): GroupWatchdog {
  const groups = new Set<number>()
  let dog: ChildProcess | null = null

  function tell(line: string): void {
    if (dog === null) start()
    else dog.stdin?.write(line)
  }

  function start(): void {
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
    child.unref()
    if ('unref' in child.stdin && typeof child.stdin.unref === 'function') child.stdin.unref()
    for (const group of groups) child.stdin.write(`add ${group}\n`)
    dog = child
  }

  return {
    watch(group) {
      groups.add(group)
      tell(`add ${group}\n`)
      return () => {
        if (groups.delete(group)) tell(`drop ${group}\n`)
      }
    },
  }
}
