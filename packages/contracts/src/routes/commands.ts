import { z } from 'zod'
import { commandSchema } from '../command.ts'
import { agentIdSchema, sessionIdSchema } from '../ids.ts'
import { answerOf, NO_PARAMS, NO_QUERY, RESOURCES } from './parts.ts'
import { defineRoute } from './route.ts'

const acceptedSchema = answerOf({
  task: RESOURCES.task,
  run: RESOURCES.run,
  session: z
    .object({ id: sessionIdSchema, key: z.string(), agent_id: agentIdSchema, agent_key: z.string() })
    .optional(),
  deduplicated: z.boolean(),
})

export const postCommand = defineRoute({
  access: 'workspace',
  tag: 'commands',
  notFound: 'route_not_found',
  operationId: 'postCommand',
  method: 'POST',
  path: '/v1/commands',
  summary: 'Submit a command to an agent; it is durable before the answer',
  params: NO_PARAMS,
  query: NO_QUERY,
  body: commandSchema,
  requestHeaders: {
    'Idempotency-Key':
      'As the field idempotency_key; both and different is refused. A key is known for as long as its task is kept',
    Prefer: '`wait=N`: answer when the run has ended, at most N (<= 60) seconds from now',
    traceparent: 'W3C trace context: the spans of the run belong to it, and its agent finds one in TRACEPARENT',
  },
  responses: {
    202: {
      description: 'Accepted',
      body: acceptedSchema,
      headers: { Location: 'The run', 'Preference-Applied': 'The wait that was honoured' },
    },
    200: {
      description: 'The same command was accepted before, or the run has ended within the wait',
      body: acceptedSchema,
      headers: { Location: 'The run', 'Preference-Applied': 'The wait that was honoured' },
    },
  },
  errors: [
    'agent_not_found',
    'agent_inactive',
    'session_not_found',
    'session_mismatch',
    'idempotency_conflict',
    'policy_unsupported',
    'queue_full',
    'rate_limited',
  ],
})
