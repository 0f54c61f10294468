import {
  ERROR_CODES,
  type ErrorCode,
  type JsonObject,
  problemSchema,
  ROUTES,
  type Route,
  type RouteResponse,
} from '@muster/contracts'
import { z } from 'zod'
import {
  type CreateDocumentOptions,
  createDocument,
  type ZodOpenApiObject,
  type ZodOpenApiOperationObject,
  type ZodOpenApiPathsObject,
  type ZodOpenApiResponseObject,
} from 'zod-openapi'

const VERSION = '0.1.0'
const PROBLEM = problemSchema.meta({ id: 'Problem' })

const DOCUMENT: ZodOpenApiObject = {
  openapi: '3.1.0',
  info: {
    title: 'Muster',
    version: VERSION,
    description:
      'A self-hosted fleet for AI agents. Every JSON answer tells in `agent_contract` what can be done next.',
    license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
  },
  paths: pathsOf(Object.values(ROUTES)),
  components: {
    securitySchemes: {
      apiKey: { type: 'http', scheme: 'bearer', description: 'An API key of a workspace: `mst_…`' },
      adminToken: {
        type: 'http',
        scheme: 'bearer',
        description: 'The admin token; acts in the workspace that the header Muster-Workspace names (`default`)',
      },
    },
  },
}
const OPTIONS: CreateDocumentOptions = {
  // JSON of any shape is checked by functions, of which no schema can be made: it has its own in `meta`
  allowEmptySchema: { custom: true },
  // answers gain fields in later versions: a client that takes the document at its word must not refuse them
  override: ({ jsonSchema, io }) => {
    if (io === 'output' && jsonSchema.additionalProperties === false) delete jsonSchema.additionalProperties
  },
}

let built: JsonObject | undefined

/** The API as OpenAPI 3.1, made from the routes. */
export function openapiDocument(): JsonObject {
  built ??= z.record(z.string(), z.json()).parse(JSON.parse(JSON.stringify(createDocument(DOCUMENT, OPTIONS))))
  return built
}

function pathsOf(routes: readonly Route[]): ZodOpenApiPathsObject {
  const paths: Record<string, Record<string, ZodOpenApiOperationObject>> = {}
  for (const route of routes)
    paths[route.path] = { ...paths[route.path], [route.method.toLowerCase()]: operationOf(route) }
  return paths
}

function operationOf(route: Route): ZodOpenApiOperationObject {
  const headers = Object.entries(route.requestHeaders ?? {}).map(([name, description]) => ({
    in: 'header' as const,
    name,
    description,
    schema: { type: 'string' as const },
  }))
  return {
    operationId: route.operationId,
    tags: [route.tag],
    summary: route.summary,
    security: securityOf(route),
    requestParams: { path: route.params, query: route.query },
    ...(headers.length === 0 ? {} : { parameters: headers }),
    ...(route.body === null ? {} : { requestBody: { content: { 'application/json': { schema: route.body } } } }),
    responses: { ...responsesOf(route), ...problemsOf(route) },
  }
}

function securityOf({ access }: Route): Record<string, string[]>[] {
  if (access === 'public') return []
  return access === 'admin' ? [{ adminToken: [] }] : [{ apiKey: [] }, { adminToken: [] }]
}

function responsesOf(route: Route): Record<`${1 | 2 | 3 | 4 | 5}${string}`, ZodOpenApiResponseObject> {
  const responses: Record<string, ZodOpenApiResponseObject> = {}
  for (const [status, response] of Object.entries(route.responses)) responses[status] = responseOf(response)
  return responses
}

function responseOf(response: RouteResponse): ZodOpenApiResponseObject {
  const headers = Object.entries(response.headers ?? {}).map(([name, description]) => [
    name,
    { description, schema: { type: 'string' as const } },
  ])
  const streams = Object.entries(response.streams ?? {}).map(([type, description]) => [
    type,
    { schema: { type: 'string' as const, description } },
  ])
  const content = {
    ...(response.body === null ? {} : { 'application/json': { schema: response.body } }),
    ...Object.fromEntries(streams),
  }
  return {
    description: response.description,
    ...(headers.length === 0 ? {} : { headers: Object.fromEntries(headers) }),
    ...(Object.keys(content).length === 0 ? {} : { content }),
  }
}

/** The codes of every route of its kind and its own, by status. A status that the route answers itself is left to it. */
function problemsOf(route: Route): Record<`${1 | 2 | 3 | 4 | 5}${string}`, ZodOpenApiResponseObject> {
  const codes: ErrorCode[] = ['invalid_request', 'internal_error', ...route.errors]
  if (route.access !== 'public') codes.push('missing_api_key', 'invalid_api_key', 'unavailable')
  if (route.access === 'workspace') codes.push('workspace_not_found')
  if (route.access === 'admin') codes.push('forbidden')
  if (route.body !== null) codes.push('payload_too_large', 'unsupported_media_type')
  const byStatus = new Map<number, Set<ErrorCode>>()
  for (const code of codes)
    byStatus.set(ERROR_CODES[code].status, (byStatus.get(ERROR_CODES[code].status) ?? new Set()).add(code))
  const problems: Record<string, ZodOpenApiResponseObject> = {}
  for (const [status, set] of byStatus) {
    if (status in route.responses) continue
    problems[String(status)] = {
      description: [...set].map((code) => `\`${code}\``).join(', '),
      content: { 'application/problem+json': { schema: PROBLEM } },
    }
  }
  return problems
}
