import type { Explanation } from '@muster/contracts'
import { AppError, isRunOver } from '@muster/core'
import type { GateExplanation } from '@muster/gate'
import { type ExplainPlace, explainPlace } from '@muster/store'
import type { EngineContext } from './engine-context.ts'
import { nameNode } from './name-node.ts'
import { withGate } from './with-gate.ts'

const NOT_BLOCKED: Explanation['blocked_by'] = { kind: 'none', node: null, used: null, limit: null }

/** Why a run waits, behind what, and what would let it start. Throws `run_not_found`. */
export async function explainRun(context: EngineContext, runId: string): Promise<Explanation> {
  const place = await explainPlace(context.database.pool, runId)
  if (place === null) throw new AppError('run_not_found')
  const base: Explanation = {
    run_id: runId,
    status: place.status,
    position: null,
    runs_ahead: null,
    blocked_by: NOT_BLOCKED,
    oldest_waiting_ms: null,
    estimate_ms: null,
    text: '',
  }
  if (isRunOver(place.status)) return { ...base, text: `The run is over: ${place.status}.` }
  if (place.status !== 'queued') return { ...base, text: `The run is ${place.status}; it does not wait for a slot.` }
  if (place.not_due === true) return { ...base, ...notDue(place) }
  if (place.session_id !== null && place.current_run_id !== runId) return { ...base, ...behindSession(place) }

  const answer = await withGate(() => context.gate.explain(runId))
  if (answer === null || answer.kind === 'cold')
    return {
      ...base,
      text: 'The run waits; the gate is away or being rebuilt, and takes the run up again within seconds.',
    }
  if (answer.explanation === null)
    return {
      ...base,
      text: 'The run waits to be offered to the gate, which happens within seconds; after a rebuild, when the longer waiting ones were.',
    }
  return { ...base, ...inGate(answer.explanation, place.now.getTime()) }
}

function notDue(place: ExplainPlace): Partial<Explanation> {
  const waitMs = Math.max(0, (place.not_before?.getTime() ?? 0) - place.now.getTime())
  return {
    blocked_by: { ...NOT_BLOCKED, kind: 'not_due' },
    estimate_ms: waitMs,
    text: `The run is not due before ${place.not_before?.toISOString() ?? ''}.`,
  }
}

function behindSession(place: ExplainPlace): Partial<Explanation> {
  if (!place.in_order) return joinsSession(place)
  const held = place.current_status === 'running' || place.current_status === 'waiting'
  const ahead = place.queued_ahead + (held ? 1 : 0)
  return {
    position: ahead + 1,
    runs_ahead: ahead,
    blocked_by: { kind: 'session_busy', node: place.session_id, used: 1, limit: 1 },
    oldest_waiting_ms: place.now.getTime() - place.queued_at.getTime(),
    text: `The run waits for ${ahead} earlier ${ahead === 1 ? 'run' : 'runs'} of its session; now: ${place.current_run_id ?? 'none'}.`,
  }
}

/** Its time has come, and the tick that gives it its place has not. */
function joinsSession(place: ExplainPlace): Partial<Explanation> {
  const joins = 'The run is due and joins the order of its session within a second'
  if (place.current_run_id === null) return { text: `${joins}.` }
  return {
    blocked_by: { kind: 'session_busy', node: place.session_id, used: 1, limit: 1 },
    text: `${joins}, behind those that came before; now: ${place.current_run_id}.`,
  }
}

function inGate(facts: GateExplanation, nowMs: number): Partial<Explanation> {
  const position = facts.position
  const ahead = position === null ? null : position - 1
  return {
    position,
    runs_ahead: ahead,
    blocked_by: blockOf(facts),
    oldest_waiting_ms: facts.headQueuedAtMs === null ? null : Math.max(0, nowMs - facts.headQueuedAtMs),
    text: textOf(facts, ahead),
  }
}

function blockOf(facts: GateExplanation): Explanation['blocked_by'] {
  const block = facts.blockedBy
  switch (block.kind) {
    case 'no_node':
      return { kind: 'no_node', node: block.pool, used: 0, limit: 0 }
    case 'limit':
    case 'paused':
      return { kind: block.kind, node: nameNode(block.node), used: block.used, limit: block.limit }
    case 'not_due':
      return { ...NOT_BLOCKED, kind: 'not_due' }
    case 'none':
      return NOT_BLOCKED
  }
}

function textOf(facts: GateExplanation, ahead: number | null): string {
  if (facts.state === 'due' && facts.blockedBy.kind !== 'not_due') {
    const isDue = 'The run is due and is being let in now.'
    return facts.blockedBy.kind === 'none' ? isDue : `${isDue} ${textOf({ ...facts, state: 'parked' }, null)}`
  }
  const queue = ahead === null ? '' : ` ${ahead} ${ahead === 1 ? 'run is' : 'runs are'} ahead of it in its class.`
  if (facts.state === 'reserved' || facts.state === 'started')
    return 'The run has a slot and is on its way to a worker.'
  const block = facts.blockedBy
  switch (block.kind) {
    case 'no_node':
      return `No living node serves the pool ${block.pool}; the run starts when one registers.${queue}`
    case 'limit':
      return `The ${nameNode(block.node)} is at its limit: ${block.used} of ${block.limit ?? 'no limit'} slots in use; the run starts when one is freed or the limit is raised.${queue}`
    case 'paused':
      return `The ${nameNode(block.node)} is paused; the run starts when it is resumed.${queue}`
    case 'not_due':
      return 'The run is not due yet.'
    case 'none':
      return `The run waits its turn for a slot of the pool ${facts.pool}: ${facts.poolUsed} of ${facts.capacity} are in use.${queue}`
  }
}
