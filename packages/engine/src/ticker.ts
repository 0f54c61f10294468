import { GateFault } from '@muster/gate'
import { ageNodes, configurationSince, expireRuns, makeDue, markDuties, readEpoch, takeTick } from '@muster/store'
import { createSlotComparer } from './compare-slots.ts'
import type { EngineContext } from './engine-context.ts'
import { createCatchUp } from './offer-backlog.ts'
import { offerRuns } from './offer-runs.ts'
import { createReoffering } from './offer-unknown.ts'
import { publishEvents } from './publish-events.ts'
import { rebuildGate } from './rebuild-gate.ts'
import { refreshCapacities } from './refresh-capacities.ts'
import { createRetention } from './retention.ts'
import { type GateCondition, sweepGate } from './sweep-gate.ts'
import { takeLostRuns } from './take-lost-runs.ts'
import { tellGate } from './tell-gate.ts'
import { withGate } from './with-gate.ts'

export const DUTIES = [
  'dead_nodes',
  'rebuild',
  'reservations',
  'capacities',
  'configuration',
  'slots',
  'due',
  'recent',
  'expiry',
  'backlog',
  'retention',
] as const
export type Duty = (typeof DUTIES)[number]

export type TickerOptions = {
  /** Losses in a row after which a run ends `worker_lost`. */
  readonly lossesMax: number
  /** Finished work is removed after so many days; 0: never. */
  readonly retentionDays: number
  /** How old the last tick must be for this process to take one. */
  readonly takesAfterMs: number
}

export type Ticker = {
  /** Tries to take the tick and does its duties; false when another process took it not long ago. */
  tick(): Promise<boolean>
  /** Sweeps the gate, ten times a second; one that is found cold is rebuilt, and one that is back hears what it missed, without waiting for the tick. */
  sweep(): Promise<void>
  /** When each duty last ended well, by this process. */
  readonly freshness: ReadonlyMap<Duty, Date>
}

const PAGE = 500
/** A duty takes further pages for so long: who came last waits little for what others have piled up, and the tick has time for the rest. */
const PAGES_MS = 400
/** A configuration commits within this of its version, so reading this far back again misses none. */
const OVERLAP_MS = 30_000
const LOOK_AGAIN_MS = 500
/** A gate that was away for a moment hears at once what it missed, but no more often than the tick would tell it. */
const HEAR_AGAIN_MS = 1000

/**
 * The duties of the tick, none of which costs more than the slots, the recent changes or its share of a tick. Each may overlap with another
 * process', since each step is a compare-and-set or a script fenced by admission or epoch; one that fails leaves the others alone.
 */
export function createTicker(context: EngineContext, options: TickerOptions): Ticker {
  const { pool } = context.database
  const freshness = new Map<Duty, Date>()
  const comparer = createSlotComparer(context)
  const reoffering = createReoffering(context)
  const catchUp = createCatchUp(context)
  const retention = createRetention(context, options.retentionDays)
  let configuredUntil: Date | null = null
  let rebuilding = false
  let condition: GateCondition = 'warm'
  let lookedAt = Number.NEGATIVE_INFINITY
  let thereAt = performance.now()
  /** Since when the gate may have missed what it has not been told yet. */
  let missedFrom: number | null = null
  let heardAt = Number.NEGATIVE_INFINITY
  /** What a sweep and an audit ask carries nothing of ours: when Redis refuses one, what it holds is damaged. */
  let damaged = false
  let done = new Set<Duty>()

  async function duty(name: Duty, work: () => Promise<void>): Promise<void> {
    const begun = performance.now()
    let outcome: 'done' | 'failed' = 'failed'
    try {
      await work()
      outcome = 'done'
      noteDone(name)
    } catch (error) {
      if (error instanceof GateFault && name === 'slots') damaged = true
      context.log.error({ err: error, duty: name }, 'a duty failed; the next tick tries again')
    } finally {
      context.report?.duty?.({ name, outcome, seconds: (performance.now() - begun) / 1000 })
    }
  }

  function noteDone(name: Duty): void {
    freshness.set(name, new Date())
    done.add(name)
  }

  /** What ended well since the last mark, told to whoever asks any gateway. */
  async function mark(): Promise<void> {
    const names = [...done]
    done = new Set()
    await markDuties(pool, names).catch((error: unknown) =>
      context.log.warn({ err: error }, 'the marks of the duties could not be written'),
    )
  }

  async function gateIsCurrent(): Promise<boolean> {
    const state = await withGate(() => context.gate.state())
    if (state === null) return false
    if (!damaged && state.warm && state.epoch === (await readEpoch(pool))) return true
    if (rebuilding) return false
    rebuilding = true
    // The rest of the tick does not wait for a rebuild, whose backlog may be long.
    void duty('rebuild', async () => {
      const outcome = await rebuildGate(context, () => {
        damaged = false
      })
      if (outcome !== 'later') context.report?.rebuilt?.(outcome)
      context.log.info({ outcome }, 'the gate was cold or damaged')
    }).finally(() => {
      rebuilding = false
    })
    return false
  }

  async function deliverConfiguration(): Promise<void> {
    const { entries, asOf } = await configurationSince(pool, configuredUntil)
    for (let start = 0; start < entries.length; start += PAGE) {
      const page = entries.slice(start, start + PAGE)
      if (!(await tellGate(() => context.gate.configure(page)))) return
    }
    configuredUntil = new Date(asOf.getTime() - OVERLAP_MS)
  }

  async function tick(): Promise<boolean> {
    if (!(await takeTick(pool, options.takesAfterMs))) return false
    await doDuties()
    await duty('retention', () => retention.turn())
    await mark()
    return true
  }

  async function makePageDue(): Promise<number> {
    const { taken, offers } = await makeDue(pool, PAGE)
    await offerRuns(context, offers)
    return taken
  }

  async function expirePage(): Promise<number> {
    const { moved, offers, events } = await expireRuns(pool, PAGE)
    if (moved.length === 0) return 0
    await tellGate(() => context.gate.withdraw(moved.map((each) => each.runId)))
    await offerRuns(context, offers)
    await publishEvents(context, events)
    return moved.length
  }

  async function doDuties(): Promise<void> {
    await duty('dead_nodes', async () => {
      const died = await ageNodes(pool)
      if (died > 0) context.log.warn({ died }, 'workers are dead')
      await takeLostRuns(context, options.lossesMax)
    })
    await duty('due', () => inPages(makePageDue))
    await duty('expiry', () => inPages(expirePage))
    if (!(await gateIsCurrent())) return
    await duty('capacities', () => refreshCapacities(context))
    await duty('configuration', deliverConfiguration)
    await duty('slots', () => comparer.compare())
    await duty('recent', () => reoffering.offerRecent())
    await duty('backlog', () => reoffering.stepBacklog())
  }

  async function catchUpOrAgain(awayFrom: number): Promise<void> {
    try {
      await catchUp(awayFrom)
    } catch (error) {
      missedFrom = Math.min(awayFrom, missedFrom ?? awayFrom)
      throw error
    }
  }

  async function sweep(): Promise<void> {
    try {
      condition = await sweepGate(context)
    } catch (error) {
      if (error instanceof GateFault) damaged = true
      throw error
    }
    if (condition === 'warm') noteDone('reservations')
    if (condition === 'cold' && performance.now() - lookedAt > LOOK_AGAIN_MS) {
      lookedAt = performance.now()
      await gateIsCurrent()
    }
    if (condition === 'away') missedFrom ??= thereAt
    else thereAt = performance.now()
    // whoever rebuilds it offers all that waits
    if (condition === 'cold') missedFrom = null
    if (condition === 'warm' && missedFrom !== null && performance.now() - heardAt > HEAR_AGAIN_MS) {
      const awayFrom = missedFrom
      missedFrom = null
      heardAt = performance.now()
      await duty('recent', () => reoffering.offerRecent())
      // as after a rebuild, nothing waits for what may be long; each process asks for what the gate does not know
      void duty('backlog', () => catchUpOrAgain(awayFrom))
    }
  }

  return { tick, sweep, freshness }
}

async function inPages(takePage: () => Promise<number>): Promise<void> {
  const begun = performance.now()
  while ((await takePage()) >= PAGE) {
    if (performance.now() - begun > PAGES_MS) return
  }
}
