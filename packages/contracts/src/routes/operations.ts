import { z } from 'zod'
import { invariantsSchema } from '../explain.ts'
import { pageQuerySchema } from '../page.ts'
import { poolSchema } from '../policy.ts'
import { scaleSchema } from '../scale.ts'
import { nodeStatusSchema } from '../statuses.ts'
import { answerOf, listOf, NO_PARAMS, NO_QUERY, RESOURCES } from './parts.ts'
import { defineRoute } from './route.ts'

const everyone = {
  access: 'public',
  tag: 'operations',
  notFound: 'route_not_found',
  params: NO_PARAMS,
  body: null,
  errors: [],
} as const

const dutySchema = z.object({
  status: z.enum(['ok', 'stale', 'never']),
  age_seconds: z.number().nullable(),
  limit_seconds: z.number(),
})

const checkSchema = z.object({
  status: z.enum(['ok', 'failed']),
  detail: z.string().optional(),
  required: z.boolean(),
})

export const listNodes = defineRoute({
  access: 'admin',
  tag: 'operations',
  notFound: 'node_not_found',
  operationId: 'listNodes',
  method: 'GET',
  path: '/v1/nodes',
  summary: 'List the workers that ever registered, newest first',
  params: NO_PARAMS,
  query: pageQuerySchema.extend({ status: nodeStatusSchema.optional() }),
  body: null,
  responses: { 200: { description: 'A page', body: listOf(RESOURCES.node) } },
  errors: [],
})

export const getInvariants = defineRoute({
  access: 'admin',
  tag: 'operations',
  notFound: 'route_not_found',
  operationId: 'getInvariants',
  method: 'GET',
  path: '/v1/ops/invariants',
  summary: 'Compare what Postgres and the gate hold; empty when all is well',
  params: NO_PARAMS,
  query: NO_QUERY,
  body: null,
  responses: { 200: { description: 'What was found', body: answerOf(invariantsSchema.shape) } },
  errors: [],
})

export const getScale = defineRoute({
  access: 'admin',
  tag: 'operations',
  notFound: 'route_not_found',
  operationId: 'getScale',
  method: 'GET',
  path: '/v1/ops/scale',
  summary: 'How many workers each pool, or one of them, could use; for autoscalers',
  params: NO_PARAMS,
  query: z.strictObject({ pool: poolSchema.optional() }),
  body: null,
  responses: {
    200: { description: 'The numbers of every pool asked for, also idle ones', body: answerOf(scaleSchema.shape) },
  },
  errors: [],
})

export const getLiveness = defineRoute({
  ...everyone,
  operationId: 'getLiveness',
  method: 'GET',
  path: '/livez',
  summary: 'The process answers; nothing else is asked',
  query: z.object({}),
  responses: { 200: { description: 'It lives', body: answerOf({ status: z.literal('live') }) } },
})

const readinessBody = answerOf({ status: z.enum(['ready', 'not_ready']), checks: z.record(z.string(), checkSchema) })

export const getReadiness = defineRoute({
  ...everyone,
  operationId: 'getReadiness',
  method: 'GET',
  path: '/readyz',
  summary: 'Whether this process should be sent requests; Redis is told and not needed',
  query: z.object({}),
  responses: {
    200: { description: 'Ready', body: readinessBody },
    503: { description: 'Not ready', body: readinessBody },
  },
})

const healthBody = answerOf({
  status: z.enum(['healthy', 'unhealthy']),
  checks: z.record(z.string(), checkSchema),
  tick: dutySchema,
  duties: z.record(z.string(), dutySchema),
  workers: z.object({ active: z.int(), draining: z.int() }),
  checked_at: z.iso.datetime(),
})

export const getHealth = defineRoute({
  ...everyone,
  operationId: 'getHealth',
  method: 'GET',
  path: '/health',
  summary: 'Whether the whole fleet does its duties, whichever gateway is asked; not for load balancers, see /readyz',
  query: z.object({}),
  responses: {
    200: { description: 'Postgres answers and every duty ended well lately', body: healthBody },
    503: { description: 'Postgres does not answer, or a duty is stale', body: healthBody },
  },
})
