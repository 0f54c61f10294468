import * as agents from './agents.ts'
import * as classes from './classes.ts'
import * as commands from './commands.ts'
import * as discovery from './discovery.ts'
import * as operations from './operations.ts'
import type { Route } from './route.ts'
import * as runs from './runs.ts'
import * as sessions from './sessions.ts'
import * as tasks from './tasks.ts'
import * as workspaces from './workspaces.ts'

export type { BatchResult } from './commands.ts'
export * from './route.ts'
export { eventSeqSchema } from './runs.ts'

/** Every endpoint of the API. */
export const ROUTES = {
  createWorkspace: workspaces.createWorkspace,
  listWorkspaces: workspaces.listWorkspaces,
  getWorkspace: workspaces.getWorkspace,
  patchWorkspace: workspaces.patchWorkspace,
  createApiKey: workspaces.createApiKey,
  listApiKeys: workspaces.listApiKeys,
  revokeApiKey: workspaces.revokeApiKey,
  createAgent: agents.createAgent,
  listAgents: agents.listAgents,
  getAgentDefaults: agents.getAgentDefaults,
  getAgent: agents.getAgent,
  patchAgent: agents.patchAgent,
  deleteAgent: agents.deleteAgent,
  postCommand: commands.postCommand,
  postBatch: commands.postBatch,
  listTasks: tasks.listTasks,
  getTask: tasks.getTask,
  cancelTask: tasks.cancelTask,
  requeueTask: tasks.requeueTask,
  archiveTask: tasks.archiveTask,
  readTaskLogs: tasks.readTaskLogs,
  listRuns: runs.listRuns,
  getRun: runs.getRun,
  cancelRun: runs.cancelRun,
  listAttempts: runs.listAttempts,
  listSnapshots: runs.listSnapshots,
  readEvents: runs.readEvents,
  explainRun: runs.explainRun,
  listSessions: sessions.listSessions,
  getSession: sessions.getSession,
  releaseSession: sessions.releaseSession,
  listClasses: classes.listClasses,
  patchClass: classes.patchClass,
  listNodes: operations.listNodes,
  getInvariants: operations.getInvariants,
  getScale: operations.getScale,
  getLiveness: operations.getLiveness,
  getReadiness: operations.getReadiness,
  getHealth: operations.getHealth,
  getSchema: discovery.getSchema,
  getOpenapi: discovery.getOpenapi,
  getCapabilities: discovery.getCapabilities,
  getAgentCard: discovery.getAgentCard,
} as const satisfies Record<string, Route>
export type RouteName = keyof typeof ROUTES
