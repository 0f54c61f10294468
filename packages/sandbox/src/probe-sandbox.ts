import { chown, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { ResourceName } from '@muster/contracts'
import { newId } from '@muster/core'
import { blockedAt } from './blocked-path.ts'
import type { ProbeOutcome, Sandbox } from './sandbox.ts'
import { sessionUser } from './sandbox-user.ts'

export type SandboxTrial = {
  readonly start: Sandbox['start']
  /** Roots that agents must be able to reach into. */
  readonly folders: readonly string[]
  /** What a complaint means to an operator. */
  readonly explain: (complaint: string) => string
  /** Whose programs it runs. */
  readonly sees: 'host' | 'image'
  readonly holds: () => Promise<{ readonly holds: readonly ResourceName[]; readonly missing: readonly string[] }>
}

/** Each line fails with what would be broken, so that the reason names the promise and not the mechanism. */
const TRIAL = `
set -e
fail() { echo "$1" >&2; exit 1; }
grep -q '^CapEff:\\s*0*$' /proc/self/status || fail 'the sandbox holds capabilities'
grep -q '^NoNewPrivs:\\s*1' /proc/self/status || fail 'the sandbox can gain privileges'
grep -q '^Seccomp:\\s*2' /proc/self/status || fail 'system calls are not filtered'
[ "$(id -u)" != 0 ] || fail 'the sandbox runs as root'
[ "$TRIAL_SEES" != host ] || [ ! -e /etc/shadow ] || fail 'the sandbox sees /etc of the host'
[ "$(cat /agent/trial)" = ok ] || fail 'agent files do not appear'
echo ok > /workspace/trial || fail 'the workspace cannot be written'
node -e 0 || fail 'node does not run inside'
`

/** Starts one sandbox and looks at it from inside. */
export async function probeSandbox(trial: SandboxTrial): Promise<ProbeOutcome> {
  try {
    for (const folder of trial.folders) {
      await mkdir(folder, { recursive: true, mode: 0o755 })
      const blocked = await blockedAt(folder)
      if (blocked !== null)
        return unusable(`agents run as users of their own and cannot pass ${blocked} (on the way to ${folder})`)
    }
    const workspace = await mkdtemp(join(trial.folders[0] ?? '/tmp', 'probe-'))
    try {
      const runId = newId('run')
      const user = sessionUser(runId)
      if (user !== null) await chown(workspace, user.uid, user.gid)
      return await runTrial(trial, runId, workspace)
    } finally {
      await rm(workspace, { recursive: true, force: true })
    }
  } catch (error) {
    return unusable(error instanceof Error ? error.message : String(error))
  }
}

async function runTrial(trial: SandboxTrial, runId: string, workspace: string): Promise<ProbeOutcome> {
  const started = await trial.start({
    group: { runId, sessionId: null, generation: 0 },
    command: ['/bin/sh', '-c', TRIAL],
    env: { TRIAL_SEES: trial.sees },
    // files that are in no cache yet: that it can still take some is looked at, too
    files: { trial: 'ok', run: runId },
    bundleFolder: null,
    attachmentsFolder: null,
    workspaceFolder: workspace,
    workspaceAccess: 'rw',
    network: false,
    resources: { cpu: 1, memory_mb: 256, pids: 64, disk_mb: 16 },
    required: [],
  })
  if (started.kind !== 'started') return unusable(started.kind === 'failed' ? started.reason : 'refused')
  const [exit, , complaint] = await Promise.all([
    started.process.exited,
    text(started.process.stdout),
    text(started.process.stderr),
  ])
  if (exit.code === 0) return { kind: 'usable', ...(await trial.holds()) }
  return unusable(trial.explain(exit.fault ?? complaint.trim()) || 'a trial sandbox failed without a reason')
}

function unusable(reason: string): ProbeOutcome {
  return { kind: 'unusable', reason }
}
