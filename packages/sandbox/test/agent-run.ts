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

/** Runs an agent and keeps what it tells. */
export function runKept(process: SandboxProcess, bounds: Partial<AgentBounds> = {}): AgentRun {
  const events: AgentEvent[] = []
  const states: JsonValue[] = []
  const execution = runAgent({
    process,
    start: START,
    bounds,
    onEvents: async (batch) => {
      events.push(...batch)
    },
    onSnapshot: async (state) => ({ seq: states.push(state) }),
  })
  return { ...execution, events, states }
}

export const textOf = (events: readonly AgentEvent[], stream: string): string =>
  events
    .filter((event) => event.type === 'agent.log' && event.data['stream'] === stream)
    .map((event) => event.data['text'])
    .join('\n')
