import { idPattern, nodeIdSchema, POOLS, poolSchema } from '@muster/contracts'
import type { GateConfig, PoolCapacities } from '../gate-config.ts'
import type { GateHolding, GateOffer, GatePlace, GateRelease, GateStart } from '../gate-offer.ts'
import { nodeId } from '../node-id.ts'

const ORDER_MAX = 2 ** 44

/** A number as the text that Lua hands on digit by digit; `RangeError` outside its bounds, so that no script fails halfway. */
const numberText = (what: string, value: number, min: number, max: number): string => {
  if (!(value >= min && value <= max)) throw new RangeError(`${what} out of range: ${value}`)
  return String(value)
}
const wholeText = (what: string, value: number, max: number = Number.MAX_SAFE_INTEGER): string =>
  numberText(what, Math.trunc(value), 0, max)

export const admissionText = (admission: number): string => wholeText('admission', admission)

const placeRequest = (place: GatePlace) => ({
  class: nodeId({ kind: 'class', classKey: place.classKey }),
  lane: nodeId({ kind: 'lane', agentId: place.agentId, lane: place.lane }),
  workspace: nodeId({ kind: 'workspace', workspaceId: place.workspaceId }),
  pool: poolSchema.parse(place.pool),
  job: place.jobName,
})

const RUN_ID = idPattern('run')

/** A run id in its form; anything else throws. */
export const runId = (id: string): string => {
  if (!RUN_ID.test(id)) throw new RangeError(`not the id of a run: ${id}`)
  return id
}

/** A smaller score starts earlier. `at` is the number of its place. */
const offerRequest = (offer: GateOffer, at: number) => {
  const order = Number(wholeText('order', offer.order, ORDER_MAX - 1))
  const priority = Number(wholeText('priority', offer.priority, 100))
  const tier = offer.front ? -1 : 100 - priority
  return {
    run: runId(offer.runId),
    at,
    z: String(tier * ORDER_MAX + order),
    queued: wholeText('queuedAtMs', offer.queuedAtMs),
    due: wholeText('notBeforeMs', offer.notBeforeMs ?? 0),
  }
}

const isSamePlace = (a: GatePlace, b: GatePlace): boolean =>
  a.classKey === b.classKey &&
  a.lane === b.lane &&
  a.agentId === b.agentId &&
  a.workspaceId === b.workspaceId &&
  a.pool === b.pool &&
  a.jobName === b.jobName

/** Offers, and each of their places once. */
export const offersRequest = (offers: readonly GateOffer[]) => {
  const places: ReturnType<typeof placeRequest>[] = []
  const numbered = new Map<string, { readonly place: GatePlace; readonly at: number }>()
  const numberOf = (place: GatePlace): number => {
    const known = numbered.get(place.classKey)
    if (known !== undefined && isSamePlace(known.place, place)) return known.at
    const at = places.push(placeRequest(place))
    numbered.set(place.classKey, { place, at })
    return at
  }
  return { offers: offers.map((offer) => offerRequest(offer, numberOf(offer))), places }
}

/** A slot: a run and its admission. */
export const slotRequest = (slot: GateRelease | GateStart) => ({
  run: runId(slot.runId),
  admission: admissionText(slot.admission),
})

export const holdingRequest = (holding: GateHolding) => ({
  ...placeRequest(holding),
  run: runId(holding.runId),
  admission: admissionText(holding.admission),
  node: nodeIdSchema.parse(holding.nodeId),
})

export const configRequest = (entry: GateConfig) => ({
  node: nodeId(entry.node),
  limit: entry.limit === null ? '' : wholeText('limit', entry.limit),
  weight: numberText('weight', entry.weight, 0.001, 1000),
  paused: entry.paused ? '1' : '0',
  version: wholeText('version', entry.version),
})

export const capacitiesRequest = (capacities: PoolCapacities) =>
  Object.fromEntries(POOLS.map((pool) => [pool, Number(wholeText(pool, capacities[pool] ?? 0, 1e9))]))
