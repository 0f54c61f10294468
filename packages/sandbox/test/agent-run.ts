import type { JsonValue } from '@muster/contracts'
import {
  type AgentBounds,
  type AgentEvent,
  type AgentExecution,
  runAgent,
  type SandboxProcess,
  type StartMessage,
} from '../src/index.ts'

export type AgentRun = AgentExecution & { readonly events: AgentEvent[]; readonly states: JsonValue[] }

export const START: StartMessage = {
  type: 'start',
  version: 1,
  run: { id: 'run', generation: 1, timeout_ms: 1000 },
  task: { id: 'task', type: 'command', label: null, metadata: {} },
  session: null,
  attempt: 1,
  agent: { id: 'agent', key: 'agent', version: 1, config: {} },
  message: 'do it',
  attachments: [],
  extra_system_prompt: null,
  routing: null,
  provenance: null,
  state: null,
}

/** Runs an agent and keeps what it tells; `accepted` is waited for at each acceptance. */
export function runKept(
  process: SandboxProcess,
  bounds: Partial<AgentBounds> = {},
  accepted: () => Promise<unknown> = async () => undefined,
): AgentRun {
  const events: AgentEvent[] = []
  const states: JsonValue[] = []
  const execution = runAgent({
    process,
    start: START,
    bounds,
    onEvents: async (batch) => {
      await accepted()
      const saved: number[] = []
      for (const { type, data, state } of batch) {
        if (state !== undefined) saved.push(states.push(state))
        events.push({ type, data: state === undefined ? data : { ...data, seq: states.length } })
      }
      return saved
    },
  })
  return { ...execution, events, states }
}

export const textOf = (events: readonly AgentEvent[], stream: string): string =>
  events
    .filter((event) => event.type === 'agent.log' && event.data['stream'] === stream)
    .map((event) => event.data['text'])
    .join('\n')
