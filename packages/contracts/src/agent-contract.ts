import { z } from 'zod'

export const NEXT_ACTIONS = [
  'authenticate',
  'cancel_task',
  'check_task_status',
  'create_task',
  'fix_request',
  'list_agents',
  'list_tasks',
  'requeue_task',
  'retry_after_wait',
  'stream_events',
] as const

export const nextActionSchema = z.object({
  action: z.enum(NEXT_ACTIONS),
  available: z.boolean(),
  recommended: z.boolean(),
  description: z.string().optional(),
  method: z.string().optional(),
  endpoint: z.string().optional(),
  retry_after_seconds: z.number().optional(),
})
export type NextAction = z.infer<typeof nextActionSchema>

/** Tells an agent what it can do next; stands at the top level of every JSON answer, success or error. */
export const agentContractSchema = z.object({
  version: z.literal('1'),
  retryable: z.boolean(),
  next_actions: z.array(nextActionSchema),
})
export type AgentContract = z.infer<typeof agentContractSchema>
