import { z } from 'zod'
import { runIdSchema } from '../ids.ts'
import { limitSchema, pageQuerySchema } from '../page.ts'
import { taskStatusSchema } from '../statuses.ts'
import {
  answerOf,
  FILTERS,
  listOf,
  NO_FIELDS,
  NO_PARAMS,
  NO_QUERY,
  PATHS,
  RESOURCES,
  reasonBodySchema,
} from './parts.ts'
import { defineRoute } from './route.ts'
import { eventSeqSchema } from './runs.ts'

const workspace = { access: 'workspace', tag: 'tasks', notFound: 'task_not_found' } as const
const taskBody = answerOf({ task: RESOURCES.task })

/** A place in a task's logs as `next_after` tells it: a run, a dot and the number of one of its events, or 0. */
const logPlaceSchema = z
  .string()
  .transform((place) => {
    const [runId, seq, ...more] = place.split('.')
    return { runId, seq, more }
  })
  .refine(isPlace, 'must be the next_after of a page of this task')
  .transform(({ runId = '', seq }) => ({ runId, seq: Number(seq) }))

function isPlace({
  runId,
  seq,
  more,
}: {
  runId: string | undefined
  seq: string | undefined
  more: string[]
}): boolean {
  return runIdSchema.safeParse(runId).success && eventSeqSchema.safeParse(seq).success && more.length === 0
}

export const listTasks = defineRoute({
  ...workspace,
  operationId: 'listTasks',
  method: 'GET',
  path: '/v1/tasks',
  summary: 'List the tasks, newest first; archived ones only when asked for',
  params: NO_PARAMS,
  query: pageQuerySchema.extend({
    ...FILTERS,
    status: taskStatusSchema.optional(),
    include_archived: z
      .stringbool({ truthy: ['true'], falsy: ['false'], case: 'sensitive' })
      .default(false)
      .meta({ override: { type: 'boolean', default: false } }),
  }),
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
  summary: 'Give a dead letter a new run, at the end of its session, by its agent as it is now',
  params: PATHS.task,
  query: NO_QUERY,
  body: NO_FIELDS,
  responses: { 202: { description: 'It waits again', body: taskBody, headers: { Location: 'The new run' } } },
  errors: ['task_not_found', 'agent_not_found', 'invalid_transition'],
})

export const archiveTask = defineRoute({
  ...workspace,
  operationId: 'archiveTask',
  method: 'POST',
  path: '/v1/tasks/{task_id}/archive',
  summary: 'Hide a task that has ended from the lists; it stays readable, and a requeue lists it again',
  params: PATHS.task,
  query: NO_QUERY,
  body: NO_FIELDS,
  responses: { 200: { description: 'It is archived, now or before', body: taskBody } },
  errors: ['task_not_found', 'invalid_transition'],
})

export const readTaskLogs = defineRoute({
  ...workspace,
  operationId: 'readTaskLogs',
  method: 'GET',
  path: '/v1/tasks/{task_id}/logs',
  summary: "Read what the agent printed and logged in all of a task's runs and attempts, in order, after a place",
  params: PATHS.task,
  query: z.strictObject({
    after: logPlaceSchema.optional(),
    limit: limitSchema({ max: 1000, unlessTold: 200 }),
  }),
  body: null,
  responses: {
    200: {
      description:
        'Log lines in order. A page may be short, even empty, while `has_more` is true. `next_after` is the place to go on from, also for what is still to come; null when nothing has been read',
      body: answerOf({ data: z.array(RESOURCES.logLine), next_after: z.string().nullable(), has_more: z.boolean() }),
    },
  },
  errors: ['task_not_found'],
})
