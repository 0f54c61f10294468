import { Batcher } from '@muster/core'
import { type AcceptItem, type AcceptVerdict, type Offer, offersOf } from '@muster/store'
import { acceptedOffer } from './accepted-view.ts'
import type { EngineContext } from './engine-context.ts'
import { LastingTrouble } from './lasting-trouble.ts'
import { offerRuns } from './offer-runs.ts'

/**
 * Offers what was accepted to the gate, in the background: those of a batch together, and before its commands are answered, since the way to
 * a start is the longer one.
 */
export class AcceptedOffers {
  readonly #context: EngineContext
  readonly #offerer: Batcher<readonly Offer[], boolean>
  readonly #underway = new Set<Promise<unknown>>()
  readonly #trouble = new LastingTrouble()

  constructor(context: EngineContext) {
    this.#context = context
    this.#offerer = new Batcher(
      async (batches) => {
        const offered = await offerRuns(context, batches.flat())
        return batches.map(() => offered)
      },
      { max: 500, departs: 'at once' },
    )
  }

  /** Takes a batch and its verdicts, in order. */
  add(items: readonly AcceptItem[], settled: readonly PromiseSettledResult<AcceptVerdict>[]): void {
    const offers: Offer[] = []
    const repeated: string[] = []
    for (const [index, item] of items.entries()) {
      const one = settled[index]
      if (one?.status !== 'fulfilled') continue
      if (one.value.outcome === 'repeated') repeated.push(one.value.run_id)
      const first = one.value.outcome === 'accepted' ? acceptedOffer(item, one.value) : null
      if (first !== null) offers.push(first)
    }
    if (offers.length > 0) this.#track(this.#send(offers))
    if (repeated.length > 0) this.#track(this.#sendAgain(repeated))
  }

  /** Waits for the offers that are still on their way to the gate. */
  async settled(): Promise<void> {
    while (this.#underway.size > 0) await Promise.all(this.#underway)
  }

  async #send(offers: readonly Offer[]): Promise<void> {
    try {
      await this.#offerer.add(offers)
      this.#trouble.isOver()
    } catch (error) {
      this.#trouble.came(() => this.#context.log.warn({ err: error, run_id: offers[0]?.runId }, 'offers failed'))
    }
  }

  /** Their first try was committed and its answer lost: whether they were offered is unknown. */
  async #sendAgain(runIds: readonly string[]): Promise<void> {
    const offers = await offersOf(this.#context.database.pool, runIds).catch(() => [])
    if (offers.length > 0) await this.#send(offers)
  }

  #track(sent: Promise<void>): void {
    const tracked = sent.finally(() => this.#underway.delete(tracked))
    this.#underway.add(tracked)
  }
}
