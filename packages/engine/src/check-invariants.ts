import type { Invariants } from '@muster/contracts'
import type { GateSlot } from '@muster/gate'
import { auditStore, type Held, heldRuns, nodeStates, readEpoch } from '@muster/store'
import { readSlots } from './compare-slots.ts'
import type { EngineContext } from './engine-context.ts'
import { nameNode } from './name-node.ts'
import { pause } from './pause.ts'
import { withGate } from './with-gate.ts'

type Violation = Invariants['violations'][number]

const LOOK_AGAIN_MS = 400
const GRACE_MS = 5000

/**
 * Compares slots with runs, counts with slots, and what Postgres alone can tell. Something in motion can look wrong for a moment, so what
 * is found is looked for again after a moment, and only what stands both times is reported.
 */
export async function checkInvariants(context: EngineContext): Promise<Invariants> {
  const first = await find(context)
  if (first.length === 0) return { violations: [], checked_at: new Date().toISOString() }
  await pause(LOOK_AGAIN_MS)
  const again = new Set((await find(context)).map(identity))
  return {
    violations: first.filter((violation) => again.has(identity(violation))),
    checked_at: new Date().toISOString(),
  }
}

const identity = (violation: Violation): string => `${violation.code} ${violation.run_id ?? violation.detail}`

async function find(context: EngineContext): Promise<readonly Violation[]> {
  const inStore = await auditStore(context.database.pool)
  const found: Violation[] = inStore.map(({ code, run_id, detail }) => ({
    code,
    detail,
    ...(run_id === null ? {} : { run_id }),
  }))
  return [...found, ...(await findInGate(context))]
}

async function findInGate(context: EngineContext): Promise<readonly Violation[]> {
  const { pool } = context.database
  const state = await withGate(() => context.gate.state())
  if (state === null) return []
  const epoch = await readEpoch(pool)
  if (!state.warm || state.epoch !== epoch)
    return [{ code: 'stale_epoch', detail: `the gate is at epoch ${state.epoch ?? 'none'}, Postgres at ${epoch}` }]
  const slots = await readSlots(context)
  const counts = await withGate(() => context.gate.recount())
  if (slots === null || counts === null || counts.kind === 'cold') return []
  const held = await heldRuns(pool)
  const miscounts = counts.miscounts.map((each): Violation => {
    const place = each.node === null ? `pool ${each.pool ?? ''}` : nameNode(each.node)
    if (each.used !== each.counted)
      return { code: 'count_mismatch', detail: `${place} counts ${each.used} slots and has ${each.counted}` }
    return {
      code: each.node === null ? 'pool_exceeded' : 'limit_exceeded',
      detail: `${place} has ${each.used} slots of ${each.limit ?? 'no limit'}`,
    }
  })
  return [...miscounts, ...(await compare(context, slots, held))]
}

async function compare(
  context: EngineContext,
  slots: readonly GateSlot[],
  held: readonly Held[],
): Promise<readonly Violation[]> {
  const heldByRun = new Map(held.map((each) => [each.runId, each]))
  const slotByRun = new Map(slots.map((slot) => [slot.runId, slot]))
  const found: Violation[] = []
  const suspects = slots.filter(
    (slot) => slot.state === 'started' && heldByRun.get(slot.runId)?.admission !== slot.admission,
  )
  const nodeIds = suspects.flatMap((slot) => (slot.nodeId === null ? [] : [slot.nodeId]))
  const nodes = new Map((await nodeStates(context.database.pool, nodeIds)).map((node) => [node.id, node]))
  for (const slot of suspects) {
    const node = slot.nodeId === null ? undefined : nodes.get(slot.nodeId)
    const onItsWay =
      node?.alive === true && (slot.ageMs < GRACE_MS || node.claiming.some((pair) => pair.run_id === slot.runId))
    if (!onItsWay)
      found.push({
        code: 'slot_without_run',
        run_id: slot.runId,
        detail: `slot of admission ${slot.admission} has no run`,
      })
  }
  for (const run of held) {
    if (slotByRun.get(run.runId)?.admission !== run.admission)
      found.push({
        code: 'run_without_slot',
        run_id: run.runId,
        detail: `runs under admission ${run.admission} without its slot`,
      })
  }
  return found
}
