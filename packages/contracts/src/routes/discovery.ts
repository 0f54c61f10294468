import { z } from 'zod'
import { jsonObjectSchema } from '../json.ts'
import { NO_PARAMS } from './parts.ts'
import { defineRoute } from './route.ts'

/** Documents about the API itself: the one kind of JSON answer without an `agent_contract`. */
const document = {
  access: 'public',
  method: 'GET',
  tag: 'discovery',
  notFound: 'route_not_found',
  params: NO_PARAMS,
  query: z.object({}),
  body: null,
  errors: [],
} as const

const responses = { 200: { description: 'The document', body: jsonObjectSchema } } as const

export const getSchema = defineRoute({
  ...document,
  operationId: 'getSchema',
  path: '/v1/schema',
  summary: 'This API as OpenAPI 3.1',
  responses,
})

export const getOpenapi = defineRoute({
  ...document,
  operationId: 'getOpenapi',
  path: '/openapi.json',
  summary: 'This API as OpenAPI 3.1',
  responses,
})

export const getCapabilities = defineRoute({
  ...document,
  operationId: 'getCapabilities',
  path: '/v1/capabilities',
  summary: 'Lifecycles, error codes, actions and limits',
  responses,
})

export const getAgentCard = defineRoute({
  ...document,
  operationId: 'getAgentCard',
  path: '/.well-known/agent.json',
  summary: 'Where an agent finds the other documents',
  responses,
})
