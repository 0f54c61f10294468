import { DEFAULT_POLICY } from '@muster/contracts'
import { endAttempt, NO_USAGE } from '@muster/core'
import type { Finish } from '@muster/store'

/** The end of an attempt of which nothing but its failure can be kept: no other try would fare better. */
export const refusedEnd = (message: string): Pick<Finish, 'end' | 'usage' | 'limits'> => ({
  end: endAttempt(
    { attemptCount: 0, maxAttempts: 1, losses: 0, handBacks: 0, retry: DEFAULT_POLICY.retry },
    { kind: 'failed', failure: { code: 'internal_error', message, retryable: false }, exitCode: null },
  ),
  usage: NO_USAGE,
  limits: {},
})
