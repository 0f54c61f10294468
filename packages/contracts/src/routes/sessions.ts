import { pageQuerySchema } from '../page.ts'
import { answerOf, FILTERS, listOf, NO_PARAMS, NO_QUERY, PATHS, RESOURCES, reasonBodySchema } from './parts.ts'
import { defineRoute } from './route.ts'

const { agent, session, created_after, created_before } = FILTERS
const sessionBody = answerOf({ session: RESOURCES.session })

export const listSessions = defineRoute({
  access: 'workspace',
  tag: 'sessions',
  notFound: 'session_not_found',
  operationId: 'listSessions',
  method: 'GET',
  path: '/v1/sessions',
  summary: 'List the sessions, newest first',
  params: NO_PARAMS,
  query: pageQuerySchema.extend({ agent, session, created_after, created_before }),
  body: null,
  responses: { 200: { description: 'A page', body: listOf(RESOURCES.session) } },
  errors: [],
})

export const getSession = defineRoute({
  access: 'workspace',
  tag: 'sessions',
  notFound: 'session_not_found',
  operationId: 'getSession',
  method: 'GET',
  path: '/v1/sessions/{session_id}',
  summary: 'Read a session',
  params: PATHS.session,
  query: NO_QUERY,
  body: null,
  responses: { 200: { description: 'The session', body: sessionBody } },
  errors: ['session_not_found'],
})

export const releaseSession = defineRoute({
  access: 'admin',
  tag: 'sessions',
  notFound: 'session_not_found',
  operationId: 'releaseSession',
  method: 'POST',
  path: '/v1/sessions/{session_id}/release',
  summary: "End the session's current run, whatever its state, and let the next one start",
  params: PATHS.session,
  query: NO_QUERY,
  body: reasonBodySchema,
  responses: { 200: { description: 'The session', body: sessionBody } },
  errors: ['session_not_found'],
})
