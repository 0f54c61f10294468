import type { Invariants } from '@muster/contracts'
import { AppError } from '@muster/core'
import type { GateSlot } from '@muster/gate'
import { auditStore, type Held, heldRuns, longOfferable, nodeStates, readEpoch } from '@muster/store'
import { readSlots } from './compare-slots.ts'
import type { EngineContext } from './engine-context.ts'
import { nameNode } from './name-node.ts'
import { pause } from './pause.ts'
import { withGate } from './with-gate.ts'

type Violation = Invariants['violations'][number]

const LOOK_AGAIN_MS = 400
const GRACE_MS = 5000
/** Of those that have waited longest, without a session and with: whom the gate does not know after ten seconds it was never told of. */
const WAITING_MAX = 500

/**
 * Compares slots with runs, counts with slots, and what Postgres alone can tell. Something in motion can look wrong for a moment, so what
 * is found is looked for again after a moment, and only what stands both times is reported. Throws `unavailable` where nothing is found
 * and the gate could not be looked at: that is no clean bill.
 */
export async function checkInvariants(context: EngineContext): Promise<Invariants> {
  const first = await find(context)
  const looks = [first]
  if (first.found.length > 0) {
    await pause(LOOK_AGAIN_MS)
    looks.push(await find(context))
  }
  const last = new Set(looks.at(-1)?.found.map(identity))
  const violations = first.found.filter((violation) => last.has(identity(violation)))
  if (violations.length === 0 && looks.some((look) => look.gate === 'not seen'))
    throw new AppError('unavailable', 'the slots cannot be compared now', { retryAfterMs: 1000 })
  return { violations, checked_at: new Date().toISOString() }
}

type Look = { readonly found: readonly Violation[]; readonly gate: 'seen' | 'not seen' }

const identity = (violation: Violation): string => `${violation.code} ${violation.run_id ?? violation.detail}`

async function find(context: EngineContext): Promise<Look> {
  const inStore = await auditStore(context.database.pool)
  const found: Violation[] = inStore.map(({ code, run_id, detail }) => ({
    code,
    detail,
    ...(run_id === null ? {} : { run_id }),
  }))
  const inGate = await findInGate(context)
  return { found: [...found, ...(inGate ?? [])], gate: inGate === null ? 'not seen' : 'seen' }
}

/** Null while the gate does not tell. */
async function findInGate(context: EngineContext): Promise<readonly Violation[] | null> {
  const { pool } = context.database
  const state = await withGate(() => context.gate.state())
  if (state === null) return null
  const epoch = await readEpoch(pool)
  if (!state.warm || state.epoch !== epoch)
    return [{ code: 'stale_epoch', detail: `the gate is at epoch ${state.epoch ?? 'none'}, Postgres at ${epoch}` }]
  const slots = await readSlots(context)
  const counts = await withGate(() => context.gate.recount())
  if (slots === null || counts === null || counts.kind === 'cold') return null
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
  const unheard = await findUnheard(context)
  return unheard === null ? null : [...miscounts, ...unheard, ...(await compare(context, slots, held))]
}

/** Runs that could start and never will, since the gate does not know them. Null while it does not tell. */
async function findUnheard({ database, gate }: EngineContext): Promise<readonly Violation[] | null> {
  const waiting = await longOfferable(database.pool, WAITING_MAX)
  const answer = await withGate(() => gate.unknown(waiting))
  if (answer === null || answer.kind === 'cold') return null
  const detail = 'may start, and the gate has not heard of it'
  return answer.runIds.map((run_id) => ({ code: 'unknown_to_gate', run_id, detail }))
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
