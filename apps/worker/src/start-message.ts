import { AGENT_PROTOCOL_VERSION } from '@muster/contracts'
import type { StartMessage } from '@muster/sandbox'
import type { ClaimedRun } from '@muster/store'

/** The first line that an agent reads. */
export const startMessage = (run: ClaimedRun): StartMessage => ({
  type: 'start',
  version: AGENT_PROTOCOL_VERSION,
  run: { id: run.run_id, generation: run.generation, timeout_ms: run.timeout_ms },
  task: { id: run.task_id, type: run.task_type, label: run.label, metadata: run.metadata },
  session: run.session_id === null || run.session_key === null ? null : { id: run.session_id, key: run.session_key },
  attempt: run.attempt_number,
  agent: { id: run.agent_id, key: run.agent_key, version: run.agent_version, config: agentFacts(run) },
  message: run.message,
  attachments: run.attachments,
  extra_system_prompt: run.extra_system_prompt,
  routing: null,
  provenance: null,
  state: run.state,
})

/** What of its config an agent may want to know; its files and environment it has already. */
const agentFacts = ({ config }: ClaimedRun) => ({
  ...(config.provider === undefined ? {} : { provider: config.provider }),
  ...(config.model === undefined ? {} : { model: config.model }),
  ...(config.system_prompt === undefined ? {} : { system_prompt: config.system_prompt }),
})
