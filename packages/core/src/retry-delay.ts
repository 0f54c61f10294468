import type { RetryPolicy } from '@muster/contracts'

/** Milliseconds before the next try, after `tries` charged ones: `delay_ms`, doubled per try when exponential, at most `max_delay_ms`. */
export function retryDelayMs(retry: RetryPolicy, tries: number): number {
  const factor = retry.backoff === 'exponential' ? 2 ** Math.min(tries - 1, 40) : 1
  return Math.min(retry.delay_ms * factor, retry.max_delay_ms)
}
