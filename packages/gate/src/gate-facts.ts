import type { Pool } from '@muster/contracts'
import type { Admission } from '@muster/core'
import type { GateNode } from './gate-config.ts'

export const GATE_RUN_STATES = ['due', 'parked', 'reserved', 'started'] as const
/** due: waits for its time, or for the sweep that lets it in; parked: waits for a slot; reserved: has one for 3 s; started: has one until it is released. */
export type GateRunState = (typeof GATE_RUN_STATES)[number]

/** What the gate knows of a run. */
export type GateRun =
  | { readonly runId: string; readonly state: 'unknown' | 'due' | 'parked' }
  | { readonly runId: string; readonly state: 'reserved'; readonly admission: Admission }
  | { readonly runId: string; readonly state: 'started'; readonly admission: Admission; readonly nodeId: string }

/** A slot as `audit` lists it. `ageMs` counts from the reservation, or from the start. */
export type GateSlot = {
  readonly runId: string
  readonly admission: Admission
  readonly state: 'reserved' | 'started'
  readonly nodeId: string | null
  readonly ageMs: number
  readonly workspaceId: string
  readonly agentId: string
  readonly lane: string
  readonly classKey: string
  readonly pool: Pool
}

/** A node whose count of slots is not what its slots add up to, or exceeds its limit. `node` is null for a pool. */
export type GateMiscount = {
  readonly node: GateNode | null
  readonly pool: Pool | null
  readonly used: number
  readonly counted: number
  readonly limit: number | null
}

/** A class as the gate sees it now; a class it does not know is idle. */
export type GateClassStats = {
  readonly classKey: string
  readonly running: number
  readonly waiting: number
  /** Since when the run at the head of the class waits (epoch ms). */
  readonly headQueuedAtMs: number | null
}

/** A pool's numbers: runs waiting for a slot, runs waiting for their time, slots in use, slots in all, and the oldest run's age is Postgres' matter. */
export type GatePoolCounts = {
  readonly queued: number
  readonly due: number
  readonly used: number
  readonly capacity: number
}

/** A node on the path of a run, from the workspace down to the class. */
export type GatePathNode = {
  readonly node: GateNode
  readonly used: number
  readonly limit: number | null
  readonly paused: boolean
  readonly waiting: number
}

/** Why a run that the gate knows has not started. */
export type GateExplanation = {
  readonly runId: string
  readonly state: GateRunState
  readonly pool: Pool
  /** 1-based rank in its class; null unless parked. */
  readonly position: number | null
  readonly notBeforeMs: number | null
  readonly queuedAtMs: number | null
  /** Since when the run at the head of its class waits (epoch ms). */
  readonly headQueuedAtMs: number | null
  readonly capacity: number
  readonly poolUsed: number
  readonly path: readonly GatePathNode[]
  /** Its time, until that has come; then the highest absent pool, paused or full node on its path; none when it merely waits its turn. */
  readonly blockedBy:
    | { readonly kind: 'not_due' }
    | { readonly kind: 'no_node'; readonly pool: Pool }
    | {
        readonly kind: 'limit' | 'paused'
        readonly node: GateNode
        readonly used: number
        readonly limit: number | null
      }
    | { readonly kind: 'none' }
}
