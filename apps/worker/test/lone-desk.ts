import { DEFAULT_POLICY, type RunJob } from '@muster/contracts'
import { newId } from '@muster/core'
import { type EngineContext, EventWriter, type FinishAt, type RunHolder } from '@muster/engine'
import { createGate } from '@muster/gate'
import { NO_TRACING } from '@muster/runtime'
import { type ClaimedRun, openDatabase } from '@muster/store'
import type { Beat } from '../src/beat/start-beat.ts'
import { type DeskOptions, RunDesk } from '../src/run-desk.ts'

const NODE = newId('node')
const untouched = (): never => {
  throw new Error('the desk touched what it was not to')
}

/** A desk by itself, whose runs of the pool `none` run nothing: what Postgres and the gate would say is said by the test. */
export function openLoneDesk(answers: Partial<RunHolder> & { readonly parts?: Partial<DeskOptions['parts']> } = {}) {
  const database = openDatabase({ url: 'postgres://nobody@127.0.0.1:1/none', poolSize: 1, onError: () => undefined })
  const gate = createGate({ redisUrl: 'redis://127.0.0.1:1' })
  const logged: { readonly level: string; readonly fields: object; readonly message: string }[] = []
  const note = (level: string) => (fields: object, message: string) => void logged.push({ level, fields, message })
  const context: EngineContext = {
    database,
    gate: { ...gate, start: async (starts) => ({ kind: 'warm', outcomes: starts.map(() => 'started') }) },
    log: { info: note('info'), warn: note('warn'), error: note('error') },
  }
  const finished: FinishAt[] = []
  const removed: string[] = []
  const said = (): void => undefined
  const beat: Beat = {
    ready: Promise.resolve(),
    name: said,
    hold: said,
    drop: said,
    claiming: said,
    claimed: said,
    draining: said,
    hurry: said,
    stop: async () => undefined,
  }
  const holder: RunHolder = {
    claim: async (job) => ({ verdict: 'claimed', run: claimedRun(job) }),
    finish: async (finish) => {
      finished.push(finish)
      return { outcome: 'finished', next: null }
    },
    ...answers,
  }
  const desk = new RunDesk({
    context,
    holder,
    beat,
    lossesMax: 5,
    cancelGraceMs: 0,
    nodeId: () => NODE,
    serves: () => true,
    onNodeDead: untouched,
    onEnded: () => undefined,
    parts: {
      sandboxes: new Map(),
      folders: {
        open: untouched,
        replace: untouched,
        remove: async (name) => void removed.push(name),
        untouched,
        removeReplaced: untouched,
      },
      agentFolders: {
        bundles: { find: untouched },
        attachmentFolders: { open: untouched, prune: untouched },
        readAttachments: untouched,
      },
      writer: new EventWriter(context, new AbortController().signal),
      hostIdentity: 'here',
      holds: async () => true,
      faultOf: async () => null,
      onStarted: () => undefined,
      tracing: NO_TRACING,
      noop: true,
      ...answers.parts,
    },
  })
  return {
    desk,
    logged,
    finished,
    /** Folders that were removed. */
    removed,
    async close() {
      await gate.close()
      await database.close()
    },
  }
}

let admissions = 0
export const newJob = (): RunJob => ({ run_id: newId('run'), admission: ++admissions })

/** A run as its claim answers it; `message` tells how long it runs. */
export const claimedRun = (job: RunJob, over: Partial<ClaimedRun> = {}): ClaimedRun => ({
  run_id: job.run_id,
  admission: job.admission,
  task_id: newId('task'),
  task_type: 'command',
  workspace_id: newId('workspace'),
  agent_id: newId('agent'),
  agent_key: 'agent',
  agent_version: 1,
  session_id: null,
  session_key: null,
  lane: 'main',
  generation: 1,
  attempt_number: 1,
  attempt_count: 0,
  max_attempts: 2,
  losses: 0,
  hand_backs: 0,
  seq: 2,
  started_at: new Date(),
  ready_at: new Date(),
  lost_at: null,
  message: '{}',
  extra_system_prompt: null,
  policy: { ...DEFAULT_POLICY, runtime_type: 'none' },
  config: { runner: 'process', command: ['true'] },
  timeout_ms: 60_000,
  label: null,
  metadata: {},
  usage: null,
  traceparent: null,
  attachments: [],
  state: null,
  previous: null,
  ...over,
})
