import { DEFAULT_POLICY } from '@muster/contracts'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type AttemptOutcome, endAttempt, type HeldRun, retryDelayMs } from '../src/index.ts'

const run = (fields: Partial<HeldRun> = {}): HeldRun => ({
  attemptCount: 0,
  maxAttempts: 3,
  losses: 2,
  handBacks: 1,
  retry: { ...DEFAULT_POLICY.retry, delay_ms: 100 },
  ...fields,
})
const failing = (retryable: boolean): AttemptOutcome => ({
  kind: 'failed',
  failure: { code: 'agent_exit', message: 'no', retryable },
  exitCode: 3,
})
const timedOut: AttemptOutcome = { kind: 'timed_out', timeoutMs: 50, exitCode: null }

describe('an attempt that', () => {
  test('succeeds ends its run with its output and charges a try', () => {
    const end = endAttempt(run(), { kind: 'succeeded', output: { n: 1 }, outputTruncated: true, exitCode: 0 })
    expect(end).toMatchObject({
      status: 'succeeded',
      charge: 1,
      losses: 0,
      handBacks: 0,
      output: { n: 1 },
      outputTruncated: true,
      failure: null,
      exitCode: 0,
    })
  })

  test('is cancelled ends its run uncharged, with the reason', () => {
    const end = endAttempt(run(), { kind: 'cancelled', reason: 'why', exitCode: null })
    expect(end).toMatchObject({
      status: 'cancelled',
      charge: 0,
      reason: null,
      failure: { code: 'cancelled', message: 'why', retryable: false },
    })
  })

  test.for([
    ['retryable, tries left', failing(true), 1, 'queued'],
    ['retryable, the last try', failing(true), 2, 'failed'],
    ['not retryable, tries left', failing(false), 0, 'failed'],
    ['past its time, tries left', timedOut, 0, 'queued'],
    ['past its time, the last try', timedOut, 2, 'timed_out'],
  ] as const)('fails (%s) leaves its run as the table says', ([, outcome, attemptCount, status]) => {
    const end = endAttempt(run({ attemptCount }), outcome)
    expect(end).toMatchObject({ status, attemptStatus: outcome.kind, charge: 1, losses: 0, handBacks: 0, front: false })
    expect(end.reason).toBe(status === 'queued' ? 'retry' : null)
    expect(end.delayMs).toBe(status === 'queued' ? 100 : 0)
    expect(end.failure).not.toBeNull()
  })

  test('is handed back goes to its head uncharged; only progress sets the count of hand-backs back', () => {
    const end = (progressed: boolean) => endAttempt(run(), { kind: 'handed_back', progressed })
    expect(end(false)).toMatchObject({
      status: 'queued',
      reason: 'handed_back',
      charge: 0,
      handBacks: 2,
      losses: 2,
      front: true,
      delayMs: 0,
    })
    expect(end(true).handBacks).toBe(1)
  })

  test('is lost goes to its head uncharged, until the last loss in a row ends its run', () => {
    const lost: AttemptOutcome = { kind: 'lost', reason: 'gone' }
    expect(endAttempt(run(), lost)).toMatchObject({
      status: 'queued',
      reason: 'lost',
      charge: 0,
      losses: 3,
      handBacks: 1,
      front: true,
    })
    expect(endAttempt(run({ losses: 4 }), lost)).toMatchObject({
      status: 'failed',
      reason: null,
      front: false,
      failure: { code: 'worker_lost' },
    })
    expect(endAttempt(run({ losses: 1 }), lost, 2).status).toBe('failed')
  })
})

const retry = fc.record({
  max_attempts: fc.integer({ min: 1, max: 100 }),
  delay_ms: fc.integer({ min: 0, max: 86_400_000 }),
  backoff: fc.constantFrom('fixed' as const, 'exponential' as const),
  max_delay_ms: fc.integer({ min: 0, max: 86_400_000 }),
})

test('a delay is never above its bound, never falls with further tries, and doubles below its bound when exponential', () => {
  fc.assert(
    fc.property(retry, fc.integer({ min: 1, max: 1000 }), (policy, tries) => {
      const [now, next] = [retryDelayMs(policy, tries), retryDelayMs(policy, tries + 1)]
      expect(now).toBeLessThanOrEqual(policy.max_delay_ms)
      expect(next).toBeGreaterThanOrEqual(now)
      if (policy.backoff === 'fixed') expect(next).toBe(now)
      else if (tries < 40 && now < policy.max_delay_ms) expect(next).toBe(Math.min(now * 2, policy.max_delay_ms))
    }),
  )
})

test('whatever fails however often, the tries that are charged never exceed their number', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 20 }),
      fc.array(fc.constantFrom('fail', 'time', 'lose', 'back'), { minLength: 60, maxLength: 60 }),
      (maxAttempts, fates) => {
        let held = run({ maxAttempts, losses: 0, handBacks: 0 })
        for (const fate of fates) {
          const outcome: AttemptOutcome =
            fate === 'fail'
              ? failing(true)
              : fate === 'time'
                ? timedOut
                : fate === 'lose'
                  ? { kind: 'lost', reason: '' }
                  : { kind: 'handed_back', progressed: false }
          const end = endAttempt(held, outcome)
          held = { ...held, attemptCount: held.attemptCount + end.charge, losses: end.losses, handBacks: end.handBacks }
          expect(held.attemptCount).toBeLessThanOrEqual(maxAttempts)
          if (end.status !== 'queued') return
          expect(held.losses).toBeLessThan(5)
        }
      },
    ),
  )
})
