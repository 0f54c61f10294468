import type { Run, Task } from '@muster/contracts'
import { contractForTask } from '@muster/core'
import type { SessionRef } from '@muster/store'

/** A command that was accepted, as it stands when it is answered. */
export type KnownCommand = {
  readonly task: Task
  readonly run: Run
  readonly session: SessionRef | null
  readonly deduplicated: boolean
}

/** What a client is told of an accepted command, by itself or in a batch. */
export function acceptedBody({ task, run, session, deduplicated }: KnownCommand) {
  const named =
    session === null
      ? {}
      : {
          session: {
            id: session.id,
            key: session.key,
            agent_id: session.agent_id,
            agent_key: session.agent_key,
          },
        }
  return { task, run, ...named, deduplicated, agent_contract: contractForTask(task) }
}

/** Where the run of an accepted command is read. */
export const locationOf = (run: Run): string => `/v1/runs/${run.id}`
