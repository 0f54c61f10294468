import type { RunStatus, TaskStatus } from '@muster/contracts'

/**
 * status -> the statuses it may go to. What is true in each:
 * queued: no attempt is under way; running: one node holds it under one generation; waiting: held, for an answer from outside;
 * succeeded, failed, timed_out, cancelled: over for ever.
 */
export const RUN_LIFECYCLE = {
  queued: ['running', 'cancelled'],
  running: ['waiting', 'queued', 'succeeded', 'failed', 'timed_out', 'cancelled'],
  waiting: ['running', 'queued', 'failed', 'timed_out', 'cancelled'],
  succeeded: [],
  failed: [],
  timed_out: [],
  cancelled: [],
} as const satisfies Record<RunStatus, readonly RunStatus[]>

export const isRunOver = (status: RunStatus): boolean => RUN_LIFECYCLE[status].length === 0

/** The status of a task whose current run has this status; `scheduled`: the run's `not_before` is still ahead. */
export function taskStatusOf(run: { status: RunStatus; scheduled: boolean }): TaskStatus {
  switch (run.status) {
    case 'queued':
      return run.scheduled ? 'scheduled' : 'pending'
    case 'succeeded':
      return 'completed'
    case 'failed':
    case 'timed_out':
      return 'dead_letter'
    default:
      return run.status
  }
}
