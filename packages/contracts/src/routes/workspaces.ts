import { z } from 'zod'
import { apiKeyIdSchema } from '../ids.ts'
import { createApiKeySchema, createWorkspaceSchema, patchWorkspaceSchema } from '../workspace.ts'
import { answerOf, appliedField, listOf, NO_PARAMS, NO_QUERY, PAGE_QUERY, PATHS, RESOURCES } from './parts.ts'
import { defineRoute } from './route.ts'

const admin = { access: 'admin', tag: 'workspaces', notFound: 'workspace_not_found' } as const

export const createWorkspace = defineRoute({
  ...admin,
  operationId: 'createWorkspace',
  method: 'POST',
  path: '/v1/workspaces',
  summary: 'Make a workspace',
  params: NO_PARAMS,
  query: NO_QUERY,
  body: createWorkspaceSchema,
  responses: {
    201: {
      description: 'The workspace',
      body: answerOf({ workspace: RESOURCES.workspace, applied: appliedField }),
      headers: { Location: 'The workspace' },
    },
  },
  errors: ['workspace_exists'],
})

export const listWorkspaces = defineRoute({
  ...admin,
  operationId: 'listWorkspaces',
  method: 'GET',
  path: '/v1/workspaces',
  summary: 'List the workspaces',
  params: NO_PARAMS,
  query: PAGE_QUERY,
  body: null,
  responses: { 200: { description: 'A page', body: listOf(RESOURCES.workspace) } },
  errors: [],
})

export const getWorkspace = defineRoute({
  ...admin,
  operationId: 'getWorkspace',
  method: 'GET',
  path: '/v1/workspaces/{workspace}',
  summary: 'Read a workspace, by id or key',
  params: PATHS.workspace,
  query: NO_QUERY,
  body: null,
  responses: { 200: { description: 'The workspace', body: answerOf({ workspace: RESOURCES.workspace }) } },
  errors: ['workspace_not_found'],
})

export const patchWorkspace = defineRoute({
  ...admin,
  operationId: 'patchWorkspace',
  method: 'PATCH',
  path: '/v1/workspaces/{workspace}',
  summary: "Change a workspace's limits, weight or pause; acts on the backlog at once",
  params: PATHS.workspace,
  query: NO_QUERY,
  body: patchWorkspaceSchema,
  responses: {
    200: { description: 'The workspace', body: answerOf({ workspace: RESOURCES.workspace, applied: appliedField }) },
  },
  errors: ['workspace_not_found'],
})

export const createApiKey = defineRoute({
  ...admin,
  operationId: 'createApiKey',
  method: 'POST',
  path: '/v1/workspaces/{workspace}/keys',
  summary: 'Make an API key; its secret is shown here and never again',
  params: PATHS.workspace,
  query: NO_QUERY,
  body: createApiKeySchema,
  responses: {
    201: { description: 'The key and its secret', body: answerOf({ api_key: RESOURCES.apiKey, secret: z.string() }) },
  },
  errors: ['workspace_not_found'],
})

export const listApiKeys = defineRoute({
  ...admin,
  operationId: 'listApiKeys',
  method: 'GET',
  path: '/v1/workspaces/{workspace}/keys',
  summary: 'List the API keys of a workspace, revoked ones included; never their secrets',
  params: PATHS.workspace,
  query: PAGE_QUERY,
  body: null,
  responses: { 200: { description: 'A page', body: listOf(RESOURCES.apiKey) } },
  errors: ['workspace_not_found'],
})

export const revokeApiKey = defineRoute({
  ...admin,
  notFound: 'api_key_not_found',
  operationId: 'revokeApiKey',
  method: 'DELETE',
  path: '/v1/workspaces/{workspace}/keys/{key_id}',
  summary: 'Revoke an API key; refused everywhere within 5 seconds',
  params: PATHS.workspace.extend({ key_id: apiKeyIdSchema }),
  query: NO_QUERY,
  body: null,
  responses: { 204: { description: 'It is revoked', body: null } },
  errors: ['workspace_not_found', 'api_key_not_found'],
})
