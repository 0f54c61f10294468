import { z } from 'zod'
import { limitSchema, pageQuerySchema } from '../page.ts'
import { runStatusSchema } from '../statuses.ts'
import {
  answerOf,
  FILTERS,
  listOf,
  NO_PARAMS,
  NO_QUERY,
  PAGE_QUERY,
  PATHS,
  RESOURCES,
  reasonBodySchema,
} from './parts.ts'
import { defineRoute } from './route.ts'

const workspace = { access: 'workspace', tag: 'runs', notFound: 'run_not_found' } as const
const runBody = answerOf({ run: RESOURCES.run })
const errors = ['run_not_found'] as const

/** The number of an event; 0 stands before the first. */
export const eventSeqSchema = z
  .string()
  .regex(/^(0|[1-9]\d{0,9})$/, 'must be the number of an event, or 0')
  .transform(Number)
  .refine((seq) => seq <= 2_147_483_647, 'must be the number of an event, or 0')

export const listRuns = defineRoute({
  ...workspace,
  operationId: 'listRuns',
  method: 'GET',
  path: '/v1/runs',
  summary: 'List the runs, newest first',
  params: NO_PARAMS,
  query: pageQuerySchema.extend({ ...FILTERS, status: runStatusSchema.optional() }),
  body: null,
  responses: { 200: { description: 'A page', body: listOf(RESOURCES.run) } },
  errors: [],
})

export const getRun = defineRoute({
  ...workspace,
  operationId: 'getRun',
  method: 'GET',
  path: '/v1/runs/{run_id}',
  summary: 'Read a run',
  params: PATHS.run,
  query: NO_QUERY,
  body: null,
  responses: { 200: { description: 'The run', body: runBody } },
  errors,
})

export const cancelRun = defineRoute({
  ...workspace,
  operationId: 'cancelRun',
  method: 'POST',
  path: '/v1/runs/{run_id}/cancel',
  summary: 'Cancel a run',
  params: PATHS.run,
  query: NO_QUERY,
  body: reasonBodySchema,
  responses: {
    202: { description: 'It is cancelled, or its worker is told to', body: runBody },
    200: { description: 'It had ended already and is unchanged', body: runBody },
  },
  errors,
})

export const listAttempts = defineRoute({
  ...workspace,
  operationId: 'listAttempts',
  method: 'GET',
  path: '/v1/runs/{run_id}/attempts',
  summary: 'List the attempts of a run, newest first',
  params: PATHS.run,
  query: PAGE_QUERY,
  body: null,
  responses: { 200: { description: 'A page', body: listOf(RESOURCES.attempt) } },
  errors,
})

export const listSnapshots = defineRoute({
  ...workspace,
  operationId: 'listSnapshots',
  method: 'GET',
  path: '/v1/runs/{run_id}/snapshots',
  summary: 'List the snapshots of a run, newest first',
  params: PATHS.run,
  query: PAGE_QUERY,
  body: null,
  responses: { 200: { description: 'A page', body: listOf(RESOURCES.snapshot) } },
  errors,
})

export const readEvents = defineRoute({
  ...workspace,
  operationId: 'readEvents',
  method: 'GET',
  path: '/v1/runs/{run_id}/events',
  summary:
    'Read the events of a run after a number: a page, or with `Accept: text/event-stream` a stream that ends with the run',
  params: PATHS.run,
  query: z.strictObject({
    after: eventSeqSchema.optional(),
    limit: limitSchema({ max: 1000, unlessTold: 200 }),
  }),
  body: null,
  requestHeaders: { 'Last-Event-ID': 'The number of the last event that was read; goes before `after`' },
  responses: {
    200: {
      description: 'Events in order',
      body: answerOf({ data: z.array(RESOURCES.event), next_after: z.int(), has_more: z.boolean() }),
      streams: {
        'text/event-stream': 'One event each: `id` is its number, `event` its type, `data` the event as JSON',
      },
    },
    204: { description: 'As a stream only: the run is over and all of it has been read', body: null },
  },
  errors,
})

export const explainRun = defineRoute({
  ...workspace,
  operationId: 'explainRun',
  method: 'GET',
  path: '/v1/runs/{run_id}/explain',
  summary: 'Why a run waits, behind what, and what would let it start',
  params: PATHS.run,
  query: NO_QUERY,
  body: null,
  responses: { 200: { description: 'The explanation', body: answerOf({ explain: RESOURCES.explanation }) } },
  errors,
})
