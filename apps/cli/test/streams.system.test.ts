import { randomFrom, seed, sized, startFleet, type TestFleet } from '@muster/testkit'
import { expect, test } from 'vitest'
import { readStreamPart, type StreamedEvent } from './load/read-stream.ts'

const RUNS = 10
const DISCONNECTS_PER_RUN = sized({ test: 20, prove: 100 })
const STEPS = sized({ test: 60, prove: 300 })

test(
  'readers that lose their connection again and again, also to a gateway that restarts, see every event once, and 204 at the end',
  async () => {
    const random = randomFrom(seed())
    await using fleet = await startFleet({ workers: 2, slots: 6 })
    const runs = await Promise.all(
      Array.from({ length: RUNS }, async () => {
        const message = JSON.stringify({ to: STEPS, step_ms: 40 })
        const answer = await fleet.client.post('/v1/commands', { agent: 'counter', message })
        return (answer.body as { run: { id: string } }).run.id
      }),
    )
    const restarting = restartGateway(fleet)
    const logs = await Promise.all(runs.map((runId) => readAll(fleet, runId, random)))
    await restarting

    for (const [index, runId] of runs.entries()) {
      const log = logs[index] ?? []
      expect(log.map((event) => event.seq)).toEqual(log.map((_, position) => position + 1))
      expect(log.at(-1)?.type).toBe('run.finished')
      const stored = await storedEvents(fleet, runId)
      expect(log.map((event) => JSON.parse(event.json))).toEqual(stored)
      const after = await readStreamPart(
        (signal, headers) => fleet.client.fetch(`/v1/runs/${runId}/events`, { signal, headers }),
        log.length,
        1,
      )
      expect(after).toEqual({ status: 204, events: [] })
    }
  },
  sized({ test: 120_000, prove: 300_000 }),
)

/** Everything up to the end of the run, read in parts of random length. */
async function readAll(fleet: TestFleet, runId: string, random: () => number): Promise<StreamedEvent[]> {
  const log: StreamedEvent[] = []
  for (let part = 0; part < 10_000; part++) {
    const enough = part < DISCONNECTS_PER_RUN ? Math.floor(random() * 8) : Number.POSITIVE_INFINITY
    const request = (signal: AbortSignal, headers: Record<string, string>) =>
      fetch(`${fleet.facts()?.url ?? fleet.url}/v1/runs/${runId}/events`, {
        signal,
        headers: { ...headers, authorization: `Bearer ${fleet.facts()?.api_key ?? ''}` },
      })
    const { status, events } = await readStreamPart(request, log.length, enough)
    log.push(...events)
    if (status === 204 || events.at(-1)?.type === 'run.finished') return log
  }
  throw new Error('the stream never ended')
}

async function restartGateway(fleet: TestFleet): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 1200))
  const pid = fleet.facts()?.gateway_pid
  if (pid !== undefined) process.kill(pid, 'SIGKILL')
}

async function storedEvents(fleet: TestFleet, runId: string): Promise<unknown[]> {
  const stored: unknown[] = []
  for (;;) {
    const answer = await fleet.client.get(`/v1/runs/${runId}/events?after=${stored.length}`)
    const { data, has_more } = answer.body as { data: unknown[]; has_more: boolean }
    stored.push(...data)
    if (!has_more) return stored
  }
}
