import { pageQuerySchema } from '../page.ts'
import { taskStatusSchema } from '../statuses.ts'
import { answerOf, FILTERS, listOf, NO_PARAMS, NO_QUERY, PATHS, RESOURCES, reasonBodySchema } from './parts.ts'
import { defineRoute } from './route.ts'

const workspace = { access: 'workspace', tag: 'tasks', notFound: 'task_not_found' } as const
const taskBody = answerOf({ task: RESOURCES.task })

export const listTasks = defineRoute({
  ...workspace,
  operationId: 'listTasks',
  method: 'GET',
  path: '/v1/tasks',
  summary: 'List the tasks, newest first',
  params: NO_PARAMS,
  query: pageQuerySchema.extend({ ...FILTERS, status: taskStatusSchema.optional() }),
  body: null,
  responses: { 200: { description: 'A page', body: listOf(RESOURCES.task) } },
  errors: [],
})

export const getTask = defineRoute({
  ...workspace,
  operationId: 'getTask',
  method: 'GET',
  path: '/v1/tasks/{task_id}',
  summary: 'Read a task',
  params: PATHS.task,
  query: NO_QUERY,
  body: null,
  responses: { 200: { description: 'The task', body: taskBody } },
  errors: ['task_not_found'],
})

export const cancelTask = defineRoute({
  ...workspace,
  operationId: 'cancelTask',
  method: 'POST',
  path: '/v1/tasks/{task_id}/cancel',
  summary: "Cancel a task's run",
  params: PATHS.task,
  query: NO_QUERY,
  body: reasonBodySchema,
  responses: {
    202: { description: 'It is cancelled, or its worker is told to', body: taskBody },
    200: { description: 'It had ended already and is unchanged', body: taskBody },
  },
  errors: ['task_not_found'],
})

export const requeueTask = defineRoute({
  ...workspace,
  operationId: 'requeueTask',
  method: 'POST',
  path: '/v1/tasks/{task_id}/requeue',
  summary: 'Give a dead letter a new run, at the end of its session',
  params: PATHS.task,
  query: NO_QUERY,
  body: null,
  responses: { 202: { description: 'It waits again', body: taskBody, headers: { Location: 'The new run' } } },
  errors: ['task_not_found', 'invalid_transition'],
})
