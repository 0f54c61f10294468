import { z } from 'zod'
import { batchSchema, commandSchema } from '../command.ts'
import { agentIdSchema, sessionIdSchema } from '../ids.ts'
import { problemSchema } from '../problem.ts'
import { answerOf, NO_PARAMS, NO_QUERY, RESOURCES } from './parts.ts'
import { defineRoute } from './route.ts'

/** What a command that was accepted is answered with, by itself or in a batch. */
const ACCEPTED = {
  task: RESOURCES.task,
  run: RESOURCES.run,
  session: z
    .object({ id: sessionIdSchema, key: z.string(), agent_id: agentIdSchema, agent_key: z.string() })
    .optional(),
  deduplicated: z.boolean(),
}
const acceptedSchema = answerOf(ACCEPTED)

const BATCH_BYTES_MAX = 8_388_608

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
    Prefer:
      '`wait=N`: answer when the run has ended, at most N (<= 60) seconds from now; a stream does not end early for it',
    Accept: '`text/event-stream`: answer with the events of the run as they come',
    traceparent: 'W3C trace context: the spans of the run belong to it, and its agent finds one in TRACEPARENT',
  },
  responses: {
    202: {
      description: 'Accepted',
      body: acceptedSchema,
      headers: { Location: 'The run', 'Preference-Applied': 'The wait that was honoured' },
    },
    200: {
      description: 'The same command was accepted before, or the run has ended within the wait, or its events',
      body: acceptedSchema,
      headers: { Location: 'The run', 'Preference-Applied': 'The wait that was honoured' },
      streams: {
        'text/event-stream':
          'First `command.accepted` with the JSON answer, without an id; then the events of the run from the first one on, as `GET /v1/runs/{run_id}/events` streams them and resumes them',
      },
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

const batchResultSchema = z.discriminatedUnion('outcome', [
  answerOf({ outcome: z.literal('accepted'), status: z.literal(202), location: z.string(), ...ACCEPTED }),
  answerOf({ outcome: z.literal('deduplicated'), status: z.literal(200), location: z.string(), ...ACCEPTED }),
  problemSchema.extend({ outcome: z.literal('refused') }),
])
export type BatchResult = z.infer<typeof batchResultSchema>

export const postBatch = defineRoute({
  access: 'workspace',
  tag: 'commands',
  notFound: 'route_not_found',
  operationId: 'postBatch',
  method: 'POST',
  path: '/v1/commands/batch',
  summary: 'Submit up to 500 commands (8 MiB), each accepted or refused by itself; durable before the answer',
  params: NO_PARAMS,
  query: NO_QUERY,
  body: batchSchema,
  bodyBytesMax: BATCH_BYTES_MAX,
  requestHeaders: {
    'Idempotency-Key': 'Refused: each command has its own field idempotency_key',
    traceparent: 'W3C trace context: the spans of the runs belong to it, and their agents find one in TRACEPARENT',
  },
  responses: {
    200: {
      description: 'What became of each command, in order: what it would have been answered by itself, with its status',
      body: answerOf({ results: z.array(batchResultSchema) }),
    },
  },
  errors: [],
})
