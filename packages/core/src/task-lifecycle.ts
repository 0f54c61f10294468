import type { TaskStatus } from '@muster/contracts'

/**
 * status -> the statuses it may go to. blocked: behind dependencies; scheduled: before its time; pending: its run is queued;
 * claimed: an outside worker leases it; running, waiting: as its run; dead_letter: may be requeued; completed: may be followed up;
 * cancelled: over for ever.
 */
export const TASK_LIFECYCLE = {
  blocked: ['pending', 'scheduled', 'cancelled', 'dead_letter'],
  scheduled: ['pending', 'running', 'cancelled'],
  pending: ['running', 'claimed', 'scheduled', 'cancelled'],
  claimed: ['pending', 'scheduled', 'completed', 'dead_letter', 'cancelled'],
  running: ['waiting', 'pending', 'scheduled', 'completed', 'dead_letter', 'cancelled'],
  waiting: ['running', 'pending', 'scheduled', 'dead_letter', 'cancelled'],
  completed: ['pending', 'scheduled'],
  dead_letter: ['pending', 'scheduled'],
  cancelled: [],
} as const satisfies Record<TaskStatus, readonly TaskStatus[]>

/** The statuses in which nothing of a task runs or waits; from some of them it may be given work again. */
export const ENDED_TASK_STATUSES = ['completed', 'dead_letter', 'cancelled'] as const satisfies readonly TaskStatus[]
