import type { ROUTES, RouteName } from '@muster/contracts'
import type { Handler } from '../handler.ts'
import { archiveTask } from './archive-task.ts'
import { cancelRun } from './cancel-run.ts'
import { cancelTask } from './cancel-task.ts'
import { createAgent } from './create-agent.ts'
import { createApiKey } from './create-api-key.ts'
import { createWorkspace } from './create-workspace.ts'
import { deleteAgent } from './delete-agent.ts'
import { explainRun } from './explain-run.ts'
import { getAgent } from './get-agent.ts'
import { getAgentCard } from './get-agent-card.ts'
import { getAgentDefaults } from './get-agent-defaults.ts'
import { getCapabilities } from './get-capabilities.ts'
import { getHealth } from './get-health.ts'
import { getInvariants } from './get-invariants.ts'
import { getLiveness } from './get-liveness.ts'
import { getOpenapi } from './get-openapi.ts'
import { getReadiness } from './get-readiness.ts'
import { getRun } from './get-run.ts'
import { getScale } from './get-scale.ts'
import { getSchema } from './get-schema.ts'
import { getSession } from './get-session.ts'
import { getTask } from './get-task.ts'
import { getWorkspace } from './get-workspace.ts'
import { listAgents } from './list-agents.ts'
import { listApiKeys } from './list-api-keys.ts'
import { listAttempts } from './list-attempts.ts'
import { listClasses } from './list-classes.ts'
import { listNodes } from './list-nodes.ts'
import { listRuns } from './list-runs.ts'
import { listSessions } from './list-sessions.ts'
import { listSnapshots } from './list-snapshots.ts'
import { listTasks } from './list-tasks.ts'
import { listWorkspaces } from './list-workspaces.ts'
import { patchAgent } from './patch-agent.ts'
import { patchClass } from './patch-class.ts'
import { patchWorkspace } from './patch-workspace.ts'
import { postBatch } from './post-batch.ts'
import { postCommand } from './post-command.ts'
import { readEvents } from './read-events.ts'
import { readTaskLogs } from './read-task-logs.ts'
import { releaseSession } from './release-session.ts'
import { requeueTask } from './requeue-task.ts'
import { revokeApiKey } from './revoke-api-key.ts'

/** The handler of every route. */
export const HANDLERS: { readonly [Name in RouteName]: Handler<(typeof ROUTES)[Name]> } = {
  createWorkspace,
  listWorkspaces,
  getWorkspace,
  patchWorkspace,
  createApiKey,
  listApiKeys,
  revokeApiKey,
  createAgent,
  listAgents,
  getAgentDefaults,
  getAgent,
  patchAgent,
  deleteAgent,
  postCommand,
  postBatch,
  listTasks,
  getTask,
  cancelTask,
  requeueTask,
  archiveTask,
  readTaskLogs,
  listRuns,
  getRun,
  cancelRun,
  listAttempts,
  listSnapshots,
  readEvents,
  explainRun,
  listSessions,
  getSession,
  releaseSession,
  listClasses,
  patchClass,
  listNodes,
  getInvariants,
  getScale,
  getLiveness,
  getReadiness,
  getHealth,
  getSchema,
  getOpenapi,
  getCapabilities,
  getAgentCard,
}
