import { setTimeout as delay } from 'node:timers/promises'
import { NO_USAGE } from '@muster/core'
import type { AgentEvent, AgentExecution, AgentOutcome } from '@muster/sandbox'
import { z } from 'zod'

/** What a benchmark asks of a run: how long it lasts and how many events it shows meanwhile. */
const orderSchema = z.strictObject({
  ms: z.number().min(0).max(86_400_000).default(0),
  events: z.int().min(0).max(100_000).default(0),
})

/**
 * Runs nothing, inside the worker: for benchmarks of everything else. A message such as `{"ms": 20, "events": 2}` makes it last and show
 * events, any other ends it at once. Its output tells when it began, in milliseconds since 1970.
 */
export function startNoop(
  message: string,
  onEvents: (events: readonly AgentEvent[]) => Promise<unknown>,
): AgentExecution {
  const began = performance.timeOrigin + performance.now()
  const stopped = new AbortController()
  let reason = ''
  const stop = async (why: string): Promise<void> => {
    reason = why
    stopped.abort()
  }
  return {
    outcome: run(orderOf(message), onEvents, stopped.signal).then((ended): AgentOutcome => {
      if (ended === 'stopped') return { kind: 'stopped', reason, usage: NO_USAGE, exitCode: null }
      const output = { began_at_ms: began }
      return { kind: 'succeeded', output, outputTruncated: false, usage: NO_USAGE, exitCode: 0 }
    }),
    write: () => Promise.resolve('closed'),
    cancel: stop,
    stop: () => stop('stopped'),
  }
}

type Order = z.infer<typeof orderSchema>

async function run(
  { ms, events }: Order,
  onEvents: (events: readonly AgentEvent[]) => Promise<unknown>,
  signal: AbortSignal,
): Promise<'ended' | 'stopped'> {
  const naps = Math.max(events, ms > 0 ? 1 : 0)
  for (let nap = 1; nap <= naps; nap++) {
    if (ms > 0) await delay(ms / naps, undefined, { signal }).catch(() => undefined)
    if (signal.aborted) return 'stopped'
    if (nap > events) continue
    const sent_at_ms = performance.timeOrigin + performance.now()
    await onEvents([{ type: 'agent.progress', data: { sent_at_ms, step: nap } }])
  }
  return 'ended'
}

function orderOf(message: string): Order {
  if (!message.startsWith('{')) return { ms: 0, events: 0 }
  try {
    return orderSchema.parse(JSON.parse(message))
  } catch {
    return { ms: 0, events: 0 }
  }
}
