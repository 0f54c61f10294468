import type { Admitted, GateOffer } from '../src/index.ts'
import { node as nodeOf, offerOf, place, warm, workspace } from './fleet.ts'
import { openGate } from './open-gate.ts'

/** A tenant that always has work. `lastsMs` is asked once for each of its runs. */
export type BusyTenant = { readonly name: string; readonly weight: number; readonly lastsMs: () => number }

const NODE = nodeOf('slot-seconds')
const TICK_MS = 1000

/**
 * Plays a fleet of always busy tenants on a real gate by a clock of the test: every run is started when it is admitted and released when
 * it ends, and the tick comes each second. Answers the slot-seconds that each tenant held.
 */
export const playSlotSeconds = async (
  tenants: readonly BusyTenant[],
  slots: number,
  seconds: number,
): Promise<number[]> => {
  const { gate, clock } = await openGate({
    config: tenants.map(({ name, weight }) => ({
      node: { kind: 'workspace', workspaceId: workspace(name) },
      limit: null,
      weight,
      paused: false,
      version: 1,
    })),
  })
  const began = clock.now
  const held = tenants.map(() => 0)
  const offered = tenants.map(() => 0)
  const owners = new Map<string, number>()
  const running = new Map<string, { readonly slot: Admitted; readonly since: number; readonly endsMs: number }>()

  const nextOf = (tenant: number): GateOffer => {
    const name = tenants[tenant]?.name ?? ''
    const offer = offerOf(place(name), `${name}.${offered[tenant]}`)
    offered[tenant] = (offered[tenant] ?? 0) + 1
    owners.set(offer.runId, tenant)
    return offer
  }
  const ownerOf = (runId: string): number => owners.get(runId) ?? 0
  const begin = async (admitted: readonly Admitted[]): Promise<void> => {
    if (admitted.length === 0) return
    await gate.start(admitted, NODE)
    for (const slot of admitted) {
      const lasts = Math.max(1, Math.round(tenants[ownerOf(slot.runId)]?.lastsMs() ?? 1))
      running.set(slot.runId, { slot, since: clock.now, endsMs: clock.now + lasts })
    }
  }
  const charge = (runId: string, since: number): void => {
    const tenant = ownerOf(runId)
    held[tenant] = (held[tenant] ?? 0) + (clock.now - since) / 1000
  }

  await gate.offer(tenants.flatMap((_, tenant) => Array.from({ length: 2 * slots }, () => nextOf(tenant))))
  await begin(warm(await gate.setCapacities({ none: slots })).admitted)
  let tick = began + TICK_MS
  const end = began + seconds * 1000
  for (;;) {
    const due = Math.min(tick, ...[...running.values()].map(({ endsMs }) => endsMs))
    if (due > end) break
    clock.now = due
    if (due === tick) {
      tick += TICK_MS
      await begin(warm(await gate.sweep()).admitted)
    }
    const over = [...running.values()].filter(({ endsMs }) => endsMs === due)
    if (over.length === 0) continue
    for (const { slot, since } of over) {
      running.delete(slot.runId)
      charge(slot.runId, since)
    }
    const slotsOver = over.map(({ slot }) => slot)
    await begin(
      warm(
        await gate.release(
          slotsOver,
          slotsOver.map(({ runId }) => nextOf(ownerOf(runId))),
        ),
      ).admitted,
    )
  }
  clock.now = end
  for (const { slot, since } of running.values()) charge(slot.runId, since)
  return held
}

/** Jain's index: 1 when all are equal, 1 / n when one has everything. */
export const jain = (values: readonly number[]): number => {
  const sum = values.reduce((total, value) => total + value, 0)
  return sum ** 2 / (values.length * values.reduce((total, value) => total + value ** 2, 0))
}
