import { z } from 'zod'

export const TASK_STATUSES = [
  'blocked',
  'scheduled',
  'pending',
  'claimed',
  'running',
  'waiting',
  'completed',
  'dead_letter',
  'cancelled',
] as const
export const taskStatusSchema = z.enum(TASK_STATUSES)
export type TaskStatus = z.infer<typeof taskStatusSchema>

export const RUN_STATUSES = ['queued', 'running', 'waiting', 'succeeded', 'failed', 'timed_out', 'cancelled'] as const
export const runStatusSchema = z.enum(RUN_STATUSES)
export type RunStatus = z.infer<typeof runStatusSchema>

const ATTEMPT_STATUSES = ['running', 'succeeded', 'failed', 'timed_out', 'cancelled', 'lost', 'handed_back'] as const
export const attemptStatusSchema = z.enum(ATTEMPT_STATUSES)
export type AttemptStatus = z.infer<typeof attemptStatusSchema>

const NODE_STATUSES = ['active', 'draining', 'inactive', 'disconnected'] as const
export const nodeStatusSchema = z.enum(NODE_STATUSES)
