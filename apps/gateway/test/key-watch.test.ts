import type { RunEvent } from '@muster/contracts'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { eventStream } from '../src/live/event-stream.ts'
import { KeyWatch } from '../src/live/key-watch.ts'

beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] }))
afterEach(() => void vi.useRealTimers())

test('2,000 calls with one key cost one question a second, and none when they are over', async () => {
  const asked: string[] = []
  const watch = new KeyWatch(async (authorization) => {
    asked.push(authorization)
    return false
  })
  const forgets = Array.from({ length: 2000 }, () => watch.watch('Bearer one', () => undefined))
  await vi.advanceTimersByTimeAsync(3000)
  expect(asked).toEqual(['Bearer one', 'Bearer one', 'Bearer one'])
  for (const forget of forgets) forget()
  await vi.advanceTimersByTimeAsync(3000)
  expect(asked).toHaveLength(3)
  expect(vi.getTimerCount()).toBe(0)
})

test('a key that is refused ends all its calls once, and no call of another key', async () => {
  const ended: string[] = []
  const watch = new KeyWatch(async (authorization) => authorization === 'Bearer revoked')
  const forget = watch.watch('Bearer revoked', () => ended.push('first'))
  watch.watch('Bearer revoked', () => ended.push('second'))
  watch.watch('Bearer other', () => ended.push('other'))
  await vi.advanceTimersByTimeAsync(5000)
  expect(ended).toEqual(['first', 'second'])
  watch.watch('Bearer revoked', () => ended.push('later'))
  forget()
  await vi.advanceTimersByTimeAsync(1000)
  expect(ended).toEqual(['first', 'second', 'later'])
})

test('a question that is not answered yet is not asked again', async () => {
  let asked = 0
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const watch = new KeyWatch(() => {
    asked++
    return promise
  })
  let ended = 0
  watch.watch('Bearer one', () => ended++)
  await vi.advanceTimersByTimeAsync(10_000)
  expect(asked).toBe(1)
  resolve(true)
  await vi.advanceTimersByTimeAsync(0)
  expect(ended).toBe(1)
})

test('a stream whose client reads slowly ends in the midst of a batch when its key is refused', async () => {
  const delta = (seq: number): RunEvent => ({
    seq,
    run_id: 'run_x',
    attempt: null,
    type: 'agent.delta',
    at: '',
    data: { text: 'x'.repeat(20_000) },
  })
  async function* oneBatch(): AsyncGenerator<RunEvent[]> {
    yield Array.from({ length: 256 }, (_, index) => delta(index + 1))
  }
  let refuse = (): void => undefined
  let forgotten = 0
  const onRefused = (end: () => void) => {
    refuse = end
    return () => void forgotten++
  }
  const log = { info: () => undefined, warn: () => undefined, error: () => undefined }
  const reader = eventStream({ open: oneBatch, log, runId: 'run_x', onRefused }).getReader()
  await reader.read()
  await vi.advanceTimersByTimeAsync(0)
  refuse()
  let pieces = 1
  while (!(await reader.read()).done) pieces++
  expect(pieces).toBeLessThan(10)
  await vi.waitFor(() => expect(forgotten).toBe(1))
})
