import type { Pool } from '@muster/contracts'
import type { Admission } from '@muster/core'

/** Where a run stands in the ordering tree. A class belongs to exactly one lane and pool; the first offer of a class decides. */
export type GatePlace = {
  readonly workspaceId: string
  readonly agentId: string
  readonly lane: string
  readonly classKey: string
  readonly pool: Pool
  /** `<workspace key>/<agent key>/<lane>`: the name of the run's BullMQ jobs. */
  readonly jobName: string
}

/** A queued run that may start as far as its session and Postgres are concerned. */
export type GateOffer = GatePlace & {
  readonly runId: string
  /** 0..100, higher starts earlier within its class. */
  readonly priority: number
  /** The number of the run's acceptance (a Postgres sequence), below 2^44. */
  readonly order: number
  /** Ahead of every priority: a run whose worker was lost or handed it back. */
  readonly front: boolean
  /** Epoch ms before which the run may not start; null: due now. */
  readonly notBeforeMs: number | null
  /** Epoch ms since when it waits. */
  readonly queuedAtMs: number
}

/** A running run as Postgres stores it: the slot that it must have in the gate. */
export type GateHolding = GatePlace & { readonly runId: string; readonly admission: Admission; readonly nodeId: string }

/** The slot to start: exactly this admission of this run. */
export type GateStart = { readonly runId: string; readonly admission: Admission }

/** The slot to free: exactly this admission of this run. */
export type GateRelease = { readonly runId: string; readonly admission: Admission }

/** What a node that frees slots would have again at once: so many of what is given now are started on it, and need no job. */
export type GateKeep = { readonly nodeId: string; readonly slots: Readonly<Partial<Record<Pool, number>>> }
