import { Batcher } from '@muster/core'
import {
  countWaiting,
  type KeyPlace,
  knownKeys,
  type WaitingLimit,
  type WaitingQuestion,
  type WaitingScope,
  waitingLimitsSince,
} from '@muster/store'
import type { EngineContext } from './engine-context.ts'
import { type Seat, WaitingQueue } from './waiting-queue.ts'

/** A command that asks for a place in the queues of its workspace and its agent. */
export type SeatRequest = Omit<KeyPlace, 'idempotencyKey'> & { readonly idempotencyKey: string | null }

export type SeatAnswer =
  | { readonly outcome: 'seated'; readonly seat: Seat }
  | { readonly outcome: 'full'; readonly queue: WaitingScope['kind']; readonly max: number }

const POLL_MS = 1000
/** Queues that one statement counts. */
const COUNTED_MAX = 64
const FREE: SeatAnswer = { outcome: 'seated', seat: { keep: () => undefined, giveBack: () => undefined } }

/**
 * Bounds what waits, by `limits.max_waiting` of workspaces and agents. Which limits there are is learnt once a second from what was
 * written since, so that a command without one costs a look into a map. A limited queue is counted at most once a second, when a command
 * asks; in between this process adds what it accepted itself. Several processes may together pass a limit by what they accept in a second.
 */
export class QueueLimits {
  readonly #context: EngineContext
  readonly #counter: Batcher<WaitingQuestion, number>
  readonly #queues = new Map<string, WaitingQueue>()
  readonly #timer: NodeJS.Timeout
  #learning: Promise<void> | null = null
  #learntAt: Date | null = null
  #isBehind = false

  constructor(context: EngineContext) {
    this.#context = context
    this.#counter = new Batcher((questions) => countWaiting(context.database.pool, questions), { max: COUNTED_MAX })
    this.#timer = setInterval(() => void this.#poll(), POLL_MS)
    this.#timer.unref()
  }

  /** Whether it is known that nobody has a limit, so that nothing needs a seat. */
  get areUnlimited(): boolean {
    return this.#learntAt !== null && this.#queues.size === 0
  }

  /**
   * A seat or a refusal for each request, in order; every seat must be kept or given back. What was accepted before under the same
   * idempotency key is seated whatever waits, since it adds nothing. Throws `unavailable` when the queues cannot be counted.
   */
  async take(requests: readonly SeatRequest[]): Promise<readonly SeatAnswer[]> {
    if (this.#learntAt === null) await this.#learnAll()
    if (this.areUnlimited) return requests.map(() => FREE)
    const wanted = requests.map((request) => this.#queuesOf(request))
    await Promise.all(Array.from(new Set(wanted.flat()), (queue) => queue.refresh()))
    const answers = wanted.map(seatIn)
    await this.#letRepeatsThrough(requests, answers).catch((error: unknown) => {
      for (const answer of answers) if (answer.outcome === 'seated') answer.seat.giveBack()
      throw error
    })
    return answers
  }

  /** Takes in a limit that was just written, ahead of the next look. */
  learn({ scope, max }: WaitingLimit): void {
    const key = keyOf(scope)
    const known = this.#queues.get(key)
    if (max === null) this.#queues.delete(key)
    else if (known === undefined)
      this.#queues.set(key, new WaitingQueue(scope, max, (question) => this.#counter.add(question)))
    else known.bound(max)
  }

  close(): void {
    clearInterval(this.#timer)
  }

  #queuesOf({ workspaceId, agentId }: SeatRequest): readonly WaitingQueue[] {
    const scopes: WaitingScope[] = [
      { kind: 'workspace', workspaceId },
      { kind: 'agent', workspaceId, agentId },
    ]
    return scopes.flatMap((scope) => this.#queues.get(keyOf(scope)) ?? [])
  }

  async #letRepeatsThrough(requests: readonly SeatRequest[], answers: SeatAnswer[]): Promise<void> {
    const places = requests.flatMap(({ idempotencyKey, ...place }, index) =>
      idempotencyKey !== null && answers[index]?.outcome === 'full' ? [{ ...place, idempotencyKey, index }] : [],
    )
    if (places.length === 0) return
    const known = await knownKeys(this.#context.database.pool, places)
    for (const [order, { index }] of places.entries()) if (known[order] === true) answers[index] = FREE
  }

  async #poll(): Promise<void> {
    try {
      await this.#learnAll()
      this.#isBehind = false
    } catch (error) {
      // told once for each outage
      if (!this.#isBehind) this.#context.log.warn({ err: error }, 'limits of what may wait could not be read')
      this.#isBehind = true
    }
  }

  #learnAll(): Promise<void> {
    this.#learning ??= this.#read().finally(() => {
      this.#learning = null
    })
    return this.#learning
  }

  async #read(): Promise<void> {
    const { limits, asOf } = await waitingLimitsSince(this.#context.database.pool, this.#learntAt)
    for (const limit of limits) this.learn(limit)
    this.#learntAt = asOf
  }
}

/** A seat in all of a command's queues, or in none. */
function seatIn(queues: readonly WaitingQueue[]): SeatAnswer {
  if (queues.length === 0) return FREE
  const full = queues.find((queue) => !queue.hasRoom)
  if (full !== undefined) return { outcome: 'full', queue: full.scope.kind, max: full.max }
  const seats = queues.map((queue) => queue.sit())
  return {
    outcome: 'seated',
    seat: {
      keep: () => {
        for (const seat of seats) seat.keep()
      },
      giveBack: () => {
        for (const seat of seats) seat.giveBack()
      },
    },
  }
}

const keyOf = (scope: WaitingScope): string =>
  scope.kind === 'workspace' ? scope.workspaceId : `${scope.workspaceId}/${scope.agentId}`
