import { createLogger } from '@muster/runtime'
import type { Sandbox } from '@muster/sandbox'
import { expect, test, vi } from 'vitest'
import { drainDesk } from '../src/drain-desk.ts'
import { newJob, openLoneDesk } from './lone-desk.ts'

test('a drain ends some seconds past its last limit, also where a sandbox neither starts nor fails', async () => {
  const starting = Promise.withResolvers<void>()
  const sandbox: Sandbox = {
    runtime: 'none',
    probe: async () => ({ kind: 'unusable', reason: 'not asked' }),
    start: () => {
      starting.resolve()
      return new Promise(() => undefined)
    },
  }
  const folders = {
    open: async () => '/none',
    replace: async () => ({ kind: 'failed', reason: 'not asked' }) as const,
    remove: async () => undefined,
    untouched: async () => [],
    removeReplaced: async () => 0,
  }
  const lone = openLoneDesk({ parts: { noop: false, sandboxes: new Map([['none', sandbox]]), folders } })
  void lone.desk.take(newJob())
  await starting.promise
  const giveUp = new AbortController()
  vi.useFakeTimers()
  const logger = createLogger({ app: 'test', level: 'silent' })
  const limits = { drainMs: 1000, drainMaxMs: 2000 }
  const drained = drainDesk(lone.desk, limits, giveUp, logger).then(() => 'drained')
  const over = Promise.race([drained, new Promise((resolve) => setTimeout(resolve, 60_000, 'waits'))])
  await vi.advanceTimersByTimeAsync(60_000)
  expect(await over).toBe('drained')
  expect(giveUp.signal.aborted).toBe(true)
  vi.useRealTimers()
  await lone.close()
})
