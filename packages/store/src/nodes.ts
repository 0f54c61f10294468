import type { NodePools } from '@muster/contracts'
import { poolSchema } from '@muster/contracts'
import { z } from 'zod'
import { execute, executeOne, type Queryable } from './statement.ts'

export type NodeRegistration = {
  readonly id: string
  readonly host: string
  /** Equal for two nodes exactly when each can see and signal the other's processes. */
  readonly hostIdentity: string
  readonly pid: number
  readonly address: string | null
  readonly pools: NodePools
  readonly labels: Readonly<Record<string, string>>
  readonly metadata: Readonly<Record<string, string>>
  readonly version: string
}

const NOTHING = z.object({})

const REGISTER = {
  name: 'register_node',
  text: `INSERT INTO nodes (id, host, host_identity, pid, address, pools, labels, metadata, version, status)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'active') ON CONFLICT (id) DO NOTHING`,
  row: NOTHING,
}
const DISCONNECT = {
  name: 'disconnect_node',
  text: `UPDATE nodes SET status = 'disconnected', used = 0, last_beat_at = now() WHERE id = $1 AND status IN ('active', 'draining')`,
  row: NOTHING,
}
const DRAIN = {
  name: 'drain_node',
  text: `UPDATE nodes SET status = 'draining' WHERE id = $1 AND status = 'active'`,
  row: NOTHING,
}
const SET_POOLS = { name: 'set_node_pools', text: 'UPDATE nodes SET pools = $2 WHERE id = $1', row: NOTHING }
const CAPACITIES = {
  name: 'pool_capacities',
  text: `SELECT p.key AS pool, sum(CASE WHEN n.status = 'active' THEN p.value::integer ELSE 0 END)::integer AS slots
    FROM nodes n CROSS JOIN LATERAL jsonb_each_text(n.pools) p WHERE n.status IN ('active', 'draining') GROUP BY p.key`,
  row: z.object({ pool: poolSchema, slots: z.int() }),
}
const BEAT = {
  name: 'beat',
  text: 'SELECT beat($1, $2, $3, $4, $5) AS answer',
  row: z.object({
    answer: z
      .object({
        lost: z.array(z.object({ run_id: z.string(), generation: z.int() })),
        cancel: z.array(z.object({ run_id: z.string(), generation: z.int(), reason: z.string().nullable() })),
      })
      .nullable(),
  }),
}

/** Registers a node under an id that was never used before. */
export async function registerNode(on: Queryable, node: NodeRegistration): Promise<void> {
  await execute(on, REGISTER, [
    node.id,
    node.host,
    node.hostIdentity,
    node.pid,
    node.address,
    JSON.stringify(node.pools),
    JSON.stringify(node.labels),
    JSON.stringify(node.metadata),
    node.version,
  ])
}

/** A node that takes no more: its slots count for nothing from now on. */
export async function drainNode(on: Queryable, nodeId: string): Promise<void> {
  await execute(on, DRAIN, [nodeId])
}

/** A node that can serve other pools from now on, or with other slots. */
export async function setNodePools(on: Queryable, nodeId: string, pools: NodePools): Promise<void> {
  await execute(on, SET_POOLS, [nodeId, JSON.stringify(pools)])
}

/** A node that stops in order: what it still holds is taken by the next tick. */
export async function disconnectNode(on: Queryable, nodeId: string): Promise<void> {
  await execute(on, DISCONNECT, [nodeId])
}

/** Slots per pool over the living nodes that are not draining. A pool with only draining nodes has 0. */
export async function poolCapacities(on: Queryable): Promise<NodePools> {
  const rows = await execute(on, CAPACITIES, [])
  return Object.fromEntries(rows.map((row) => [row.pool, row.slots]))
}

export type HeldPair = { readonly runId: string; readonly generation: number }
export type ClaimingPair = { readonly runId: string; readonly admission: number }
export type Beat = {
  readonly nodeId: string
  readonly held: readonly HeldPair[]
  readonly claiming: readonly ClaimingPair[]
  readonly used: number
  readonly phase: 'active' | 'draining'
}
export type BeatAnswer =
  | { readonly alive: false }
  | {
      readonly alive: true
      readonly lost: readonly HeldPair[]
      readonly cancel: readonly (HeldPair & { reason: string | null })[]
    }

/** Says that a node lives and what it has in hand; hears what it lost and what to cancel, in the same pairs. */
export async function beatNode(on: Queryable, beat: Beat): Promise<BeatAnswer> {
  const { answer } = await executeOne(on, BEAT, [
    beat.nodeId,
    JSON.stringify(beat.held.map((pair) => ({ run_id: pair.runId, generation: pair.generation }))),
    JSON.stringify(beat.claiming.map((pair) => ({ run_id: pair.runId, admission: pair.admission }))),
    beat.used,
    beat.phase === 'draining',
  ])
  if (answer === null) return { alive: false }
  const pair = (each: { run_id: string; generation: number }): HeldPair => ({
    runId: each.run_id,
    generation: each.generation,
  })
  return {
    alive: true,
    lost: answer.lost.map(pair),
    cancel: answer.cancel.map((each) => ({ ...pair(each), reason: each.reason })),
  }
}
