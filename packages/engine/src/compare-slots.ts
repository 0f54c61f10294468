import { type Admission, AppError } from '@muster/core'
import type { Gate, GateSlot } from '@muster/gate'
import { burnAdmission, type Held, heldRuns, nodeStates, offersOf } from '@muster/store'
import type { EngineContext } from './engine-context.ts'
import { withGate } from './with-gate.ts'

const STALE_AFTER_MS = 5000

export type SlotComparer = {
  /** Compares slots with runs once, both ways. Nothing is done to a gate that is cold or away. */
  compare(): Promise<void>
}

/**
 * The third duty. A started slot whose run does not run under it is burnt in Postgres first and released only then, so that a claim still
 * on its way is refused; a held run found in two comparisons without a slot of its admission gets one.
 */
export function createSlotComparer(context: EngineContext): SlotComparer {
  let missing = new Map<string, number>()

  async function compare(): Promise<void> {
    const slots = await readSlots(context)
    if (slots === null) return
    const held = await heldRuns(context.database.pool)
    const heldByRun = new Map(held.map((each) => [each.runId, each]))
    const fault = await releaseStale(
      slots.filter((slot) => slot.state === 'started' && heldByRun.get(slot.runId)?.admission !== slot.admission),
    )
    await restoreMissing(held, new Map(slots.map((slot) => [slot.runId, slot.admission])))
    if (fault !== null) throw fault.error
  }

  /** Answers the first fault: a slot that cannot be freed is tried again by the next tick, and keeps no other. */
  async function releaseStale(suspects: readonly GateSlot[]): Promise<{ readonly error: unknown } | null> {
    if (suspects.length === 0) return null
    let fault: { readonly error: unknown } | null = null
    const nodes = new Map(
      (await nodeStates(context.database.pool, [...nodesOf(suspects)])).map((node) => [node.id, node]),
    )
    for (const slot of suspects) {
      const node = slot.nodeId === null ? undefined : nodes.get(slot.nodeId)
      const claiming = node?.claiming.some((pair) => pair.run_id === slot.runId) ?? false
      if (node?.alive === true && (claiming || slot.ageMs < STALE_AFTER_MS)) continue
      try {
        await free(slot)
      } catch (error) {
        if (error instanceof AppError) throw error
        fault ??= { error }
      }
    }
    return fault
  }

  async function free(slot: GateSlot): Promise<void> {
    const { pool } = context.database
    if (await burnAdmission(pool, slot.runId, slot.admission)) return
    const offers = await offersOf(pool, [slot.runId])
    const release = { runId: slot.runId, admission: slot.admission }
    const reply = await withGate(() => context.gate.release([release], offers))
    // that of a run which ended meanwhile was freed by its worker
    if (reply?.kind !== 'warm' || reply.released.length === 0) return
    context.report?.leaked?.(1)
    context.log.warn(
      { run_id: slot.runId, admission: slot.admission, node_id: slot.nodeId },
      'a slot without a run was freed',
    )
  }

  async function restoreMissing(held: readonly Held[], slots: ReadonlyMap<string, number>): Promise<void> {
    const lacking = held.filter((each) => (slots.get(each.runId) ?? -1) < each.admission)
    const twice = lacking.filter((each) => missing.get(each.runId) === each.admission)
    missing = new Map(lacking.map((each) => [each.runId, each.admission]))
    if (twice.length === 0) return
    const reply = await withGate(() =>
      context.gate.restore(
        twice.map(({ offer, runId, admission, nodeId }) => ({ ...offer, runId, admission, nodeId })),
      ),
    )
    if (reply?.kind !== 'warm' || reply.restored.length === 0) return
    context.report?.restored?.(reply.restored.length)
    context.log.warn({ run_ids: reply.restored }, 'running runs without a slot got one')
  }

  return { compare }
}

/** Every slot of the gate, page by page; null when the gate is cold or away. */
export async function readSlots(context: EngineContext): Promise<readonly GateSlot[] | null> {
  const slots: GateSlot[] = []
  let cursor: Admission | null = null
  do {
    const page: Awaited<ReturnType<Gate['audit']>> | null = await nextPage(context, cursor)
    if (page === null || page.kind === 'cold') return null
    slots.push(...page.slots)
    cursor = page.cursor
  } while (cursor !== null)
  return slots
}

const nextPage = (context: EngineContext, cursor: Admission | null) => withGate(() => context.gate.audit(cursor))

function* nodesOf(slots: readonly GateSlot[]): Generator<string> {
  for (const slot of slots) if (slot.nodeId !== null) yield slot.nodeId
}
