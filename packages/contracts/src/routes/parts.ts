import { z } from 'zod'
import { agentSchema } from '../agent.ts'
import { agentContractSchema } from '../agent-contract.ts'
import { eventSchema } from '../event.ts'
import { executionClassSchema } from '../execution-class.ts'
import { explanationSchema } from '../explain.ts'
import { agentIdSchema, runIdSchema, sessionIdSchema, taskIdSchema } from '../ids.ts'
import { logLineSchema } from '../log-line.ts'
import { nodeSchema } from '../node.ts'
import { pageOf, pageQuerySchema } from '../page.ts'
import { attemptSchema, runSchema, snapshotSchema } from '../run.ts'
import { sessionSchema } from '../session.ts'
import { taskSchema } from '../task.ts'
import { clientKeySchema, slugSchema, timestampSchema } from '../text.ts'
import { apiKeySchema, workspaceSchema } from '../workspace.ts'

/** The resources as the API document names them. */
export const RESOURCES = {
  workspace: workspaceSchema.meta({ id: 'Workspace' }),
  apiKey: apiKeySchema.meta({ id: 'ApiKey' }),
  agent: agentSchema.meta({ id: 'Agent' }),
  task: taskSchema.meta({ id: 'Task' }),
  run: runSchema.meta({ id: 'Run' }),
  attempt: attemptSchema.meta({ id: 'Attempt' }),
  snapshot: snapshotSchema.meta({ id: 'Snapshot' }),
  event: eventSchema.meta({ id: 'Event' }),
  logLine: logLineSchema.meta({ id: 'LogLine' }),
  session: sessionSchema.meta({ id: 'Session' }),
  executionClass: executionClassSchema.meta({ id: 'ExecutionClass' }),
  node: nodeSchema.meta({ id: 'Node' }),
  explanation: explanationSchema.meta({ id: 'Explanation' }),
}

const contract = agentContractSchema.meta({ id: 'AgentContract' })

/** A body with its `agent_contract` at the top level. */
export const answerOf = <Shape extends z.ZodRawShape>(shape: Shape) => z.object({ ...shape, agent_contract: contract })

/** A page of a list, with its `agent_contract`. */
export const listOf = <Item extends z.ZodType>(item: Item) => pageOf(item).extend({ agent_contract: contract })

/** True when the gate holds the change already; else it will within about a second. */
export const appliedField = z.boolean()

export const NO_PARAMS = z.strictObject({})
export const NO_QUERY = z.strictObject({})
/** Of a change that takes no fields. */
export const NO_FIELDS = z.strictObject({})
export const PAGE_QUERY = pageQuerySchema

/** An id or a key: both have this form. */
export const idOrKeySchema = slugSchema

export const PATHS = {
  workspace: z.object({ workspace: idOrKeySchema }),
  agent: z.object({ agent: z.union([agentIdSchema, slugSchema]) }),
  task: z.object({ task_id: taskIdSchema }),
  run: z.object({ run_id: runIdSchema }),
  session: z.object({ session_id: sessionIdSchema }),
}

/** Filters of lists; agents and sessions by id or key, times half-open: from `created_after` on, before `created_before`. */
export const FILTERS = {
  agent: idOrKeySchema.optional(),
  session: clientKeySchema.optional(),
  lane: slugSchema.optional(),
  label: clientKeySchema.optional(),
  created_after: timestampSchema.optional(),
  created_before: timestampSchema.optional(),
}

/** Why something is ended, for its failure's message. */
export const reasonBodySchema = z.strictObject({ reason: clientKeySchema.optional() })
