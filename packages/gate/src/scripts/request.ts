import { nodeIdSchema, runIdSchema } from '@muster/contracts'
import type { GateConfig } from '../gate-config.ts'
import type { GateHolding, GateOffer, GatePlace } from '../gate-offer.ts'
import { nodeId } from '../node-id.ts'

const ORDER_MAX = 2 ** 44

const placeRequest = (place: GatePlace) => ({
  class: nodeId({ kind: 'class', classKey: place.classKey }),
  lane: nodeId({ kind: 'lane', agentId: place.agentId, lane: place.lane }),
  workspace: nodeId({ kind: 'workspace', workspaceId: place.workspaceId }),
  pool: place.pool,
  job: place.jobName,
})

/** A run id in its form; anything else throws. */
export const runId = (id: string): string => runIdSchema.parse(id)

/** Numbers go as text, which Lua hands on digit by digit. A smaller score starts earlier. */
export const offerRequest = (offer: GateOffer) => {
  if (!(offer.order >= 0 && offer.order < ORDER_MAX)) throw new RangeError(`order out of range: ${offer.order}`)
  if (!(offer.priority >= 0 && offer.priority <= 100)) throw new RangeError(`priority out of range: ${offer.priority}`)
  const tier = offer.front ? -1 : 100 - Math.trunc(offer.priority)
  return {
    ...placeRequest(offer),
    run: runId(offer.runId),
    z: String(tier * ORDER_MAX + Math.trunc(offer.order)),
    queued: String(Math.trunc(offer.queuedAtMs)),
    due: String(Math.trunc(offer.notBeforeMs ?? 0)),
  }
}

export const holdingRequest = (holding: GateHolding) => ({
  ...placeRequest(holding),
  run: runId(holding.runId),
  admission: String(holding.admission),
  node: nodeIdSchema.parse(holding.nodeId),
})

export const configRequest = (entry: GateConfig) => ({
  node: nodeId(entry.node),
  limit: entry.limit === null ? '' : String(entry.limit),
  weight: String(entry.weight),
  paused: entry.paused ? '1' : '0',
  version: String(entry.version),
})
