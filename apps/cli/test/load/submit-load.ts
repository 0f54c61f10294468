import { setTimeout as delay } from 'node:timers/promises'
import { z } from 'zod'
import type { Tenant } from './tenants.ts'

export type Submitted = { readonly taskId: string; readonly runId: string; readonly index: number }

export type LoadOptions = {
  readonly commands: number
  /** Sessions per agent; every fifth command has none. */
  readonly sessionsPerAgent: number
  /** Requests at once. */
  readonly clients: number
  readonly message: (index: number) => string
  readonly random: () => number
  /** Milliseconds between a client's requests. */
  readonly everyMs?: number
}

const LANES = ['main', 'cron', 'hook', 'narrow']
const answerSchema = z.looseObject({ task: z.looseObject({ id: z.string(), run_id: z.string() }) })
const GIVE_UP_MS = 120_000

/**
 * Submits commands as careful clients do: each under its own idempotency key, sent again until it is answered. Resolves with what was
 * accepted, one entry a command.
 */
export async function submitLoad(tenants: readonly Tenant[], options: LoadOptions): Promise<Submitted[]> {
  const submitted: Submitted[] = []
  let next = 0
  const client = async (): Promise<void> => {
    while (next < options.commands) {
      const index = next++
      submitted.push(await submitOne(tenants, options, index))
      if (options.everyMs !== undefined) await delay(options.everyMs)
    }
  }
  await Promise.all(Array.from({ length: options.clients }, client))
  return submitted
}

async function submitOne(tenants: readonly Tenant[], options: LoadOptions, index: number): Promise<Submitted> {
  const tenant = tenants[index % tenants.length]
  if (tenant === undefined) throw new Error('no tenants')
  const agent = tenant.agents[Math.floor(index / tenants.length) % tenant.agents.length]
  const session = Math.floor(options.random() * options.sessionsPerAgent)
  const command = {
    agent: agent?.key ?? '',
    message: options.message(index),
    lane: LANES[Math.floor(options.random() * LANES.length)],
    idempotency_key: `command ${index}`,
    ...(index % 5 === 4 ? {} : { session_key: `session ${session}` }),
  }
  const deadline = performance.now() + GIVE_UP_MS
  for (;;) {
    const answer = await tenant.client.post('/v1/commands', command).catch(() => null)
    if (answer?.status === 202 || answer?.status === 200) {
      const { task } = answerSchema.parse(answer.body)
      return { taskId: task.id, runId: task.run_id, index }
    }
    if (answer !== null && answer.status < 500) throw new Error(`refused: ${JSON.stringify(answer.body)}`)
    if (performance.now() > deadline)
      throw new Error(`command ${index} was never accepted: ${JSON.stringify(answer?.body)}`)
    await delay(100)
  }
}
