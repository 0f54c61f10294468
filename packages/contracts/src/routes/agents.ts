import { z } from 'zod'
import { agentConfigFields, agentLimitsSchema, createAgentSchema, patchAgentSchema } from '../agent.ts'
import { policySchema } from '../policy.ts'
import { slugSchema } from '../text.ts'
import { weightSchema } from '../workspace.ts'
import {
  answerOf,
  appliedField,
  idOrKeySchema,
  listOf,
  NO_PARAMS,
  NO_QUERY,
  PAGE_QUERY,
  PATHS,
  RESOURCES,
} from './parts.ts'
import { defineRoute } from './route.ts'

const workspace = { access: 'workspace', tag: 'agents', notFound: 'agent_not_found' } as const

/** What an agent has and does where neither it nor a command says otherwise. */
const agentDefaultsSchema = z.object({
  key: idOrKeySchema.nullable(),
  name: z.string().nullable(),
  config: agentConfigFields
    .omit({ command: true, policy: true })
    .required({ env: true, files: true, timeout_ms: true })
    .extend({ policy: policySchema }),
  limits: agentLimitsSchema,
  weight: weightSchema,
  active: z.boolean(),
  paused: z.boolean(),
  lane: slugSchema,
})

export const createAgent = defineRoute({
  ...workspace,
  operationId: 'createAgent',
  method: 'POST',
  path: '/v1/agents',
  summary: 'Make an agent, version 1',
  params: NO_PARAMS,
  query: NO_QUERY,
  body: createAgentSchema,
  responses: {
    201: {
      description: 'The agent',
      body: answerOf({ agent: RESOURCES.agent, applied: appliedField }),
      headers: { Location: 'The agent' },
    },
  },
  errors: ['agent_exists', 'policy_unsupported'],
})

export const listAgents = defineRoute({
  ...workspace,
  operationId: 'listAgents',
  method: 'GET',
  path: '/v1/agents',
  summary: 'List the agents',
  params: NO_PARAMS,
  query: PAGE_QUERY,
  body: null,
  responses: { 200: { description: 'A page', body: listOf(RESOURCES.agent) } },
  errors: [],
})

export const getAgentDefaults = defineRoute({
  ...workspace,
  operationId: 'getAgentDefaults',
  method: 'GET',
  path: '/v1/agents/defaults',
  summary: 'What an agent of this key would have where it says nothing',
  params: NO_PARAMS,
  query: z.strictObject({ key: idOrKeySchema.optional() }),
  body: null,
  responses: { 200: { description: 'The defaults', body: answerOf({ defaults: agentDefaultsSchema }) } },
  errors: [],
})

export const getAgent = defineRoute({
  ...workspace,
  operationId: 'getAgent',
  method: 'GET',
  path: '/v1/agents/{agent}',
  summary: 'Read an agent, by id or key',
  params: PATHS.agent,
  query: NO_QUERY,
  body: null,
  responses: { 200: { description: 'The agent', body: answerOf({ agent: RESOURCES.agent }) } },
  errors: ['agent_not_found'],
})

export const patchAgent = defineRoute({
  ...workspace,
  operationId: 'patchAgent',
  method: 'PATCH',
  path: '/v1/agents/{agent}',
  summary: 'Change an agent; a config makes a new version, limits and pauses act on the backlog at once',
  params: PATHS.agent,
  query: NO_QUERY,
  body: patchAgentSchema,
  responses: { 200: { description: 'The agent', body: answerOf({ agent: RESOURCES.agent, applied: appliedField }) } },
  errors: ['agent_not_found', 'policy_unsupported'],
})

export const deleteAgent = defineRoute({
  ...workspace,
  operationId: 'deleteAgent',
  method: 'DELETE',
  path: '/v1/agents/{agent}',
  summary: 'Take an agent out of the lists; its runs stay readable',
  params: PATHS.agent,
  query: NO_QUERY,
  body: null,
  responses: { 204: { description: 'It is gone', body: null } },
  errors: ['agent_not_found', 'agent_busy'],
})
