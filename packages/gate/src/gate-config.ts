import type { Pool } from '@muster/contracts'
import type { GateHolding } from './gate-offer.ts'

/** A node of the ordering tree. */
export type GateNode =
  | { readonly kind: 'workspace'; readonly workspaceId: string }
  | { readonly kind: 'agent'; readonly agentId: string }
  | { readonly kind: 'lane'; readonly agentId: string; readonly lane: string }
  | { readonly kind: 'class'; readonly classKey: string }

/** The whole configuration of a node at a version: a newer version replaces all of it, an older or equal one is ignored. */
export type GateConfig = {
  readonly node: GateNode
  /** Slots at once; null: no limit. */
  readonly limit: number | null
  /** 0.001..1000 */
  readonly weight: number
  readonly paused: boolean
  readonly version: number
}

/** Slots that the living, non-draining nodes offer. A pool that is not named has none. */
export type PoolCapacities = Readonly<Partial<Record<Pool, number>>>

/** All that a rebuilt gate starts from. */
export type GateLoad = {
  readonly epoch: number
  readonly config: readonly GateConfig[]
  readonly holdings: readonly GateHolding[]
  readonly capacities: PoolCapacities
}
