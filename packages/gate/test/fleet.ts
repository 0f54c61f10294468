import type { Pool } from '@muster/contracts'
import { type Admission, newId } from '@muster/core'
import type { Admitted, Gate, GateHolding, GateOffer, GatePlace, GateReply } from '../src/index.ts'

/** Ids of a test fleet: made once, then the same for the same name. */
const named = (kind: 'workspace' | 'agent' | 'run' | 'node') => {
  const ids = new Map<string, string>()
  return (name: string | number): string => {
    const key = String(name)
    const id = ids.get(key) ?? newId(kind)
    ids.set(key, id)
    return id
  }
}

export const workspace = named('workspace')
export const agent = named('agent')
export const run = named('run')
export const node = named('node')

export const classKey = (name: string | number): string =>
  `cls_${Buffer.from(String(name)).toString('hex').padStart(32, '0').slice(-32)}`

/** The place of class `name` of a workspace: an agent and a lane of its own unless named. */
export const place = (
  workspaceName: string | number,
  name: string | number = workspaceName,
  more: Partial<GatePlace> = {},
): GatePlace => ({
  workspaceId: workspace(workspaceName),
  agentId: agent(workspaceName),
  lane: 'main',
  classKey: classKey(name),
  pool: 'none',
  jobName: `${workspaceName}/agent/main`,
  ...more,
})

let accepted = 0

export const offerOf = (at: GatePlace, runName: string | number, more: Partial<GateOffer> = {}): GateOffer => ({
  ...at,
  runId: run(runName),
  priority: 50,
  order: ++accepted,
  front: false,
  notBeforeMs: null,
  queuedAtMs: 1_700_000_000_000,
  ...more,
})

export const holdingOf = (at: GatePlace, runName: string, admission: number, nodeName = 'n1'): GateHolding => ({
  ...at,
  runId: run(runName),
  admission,
  nodeId: node(nodeName),
})

/** The admissions of a warm reply; a cold one fails the test. */
export const warm = <T>(reply: GateReply<T>): { readonly admitted: readonly Admitted[] } & T => {
  if (reply.kind === 'cold') throw new Error('the gate is cold')
  return reply
}

export const one = <T>(list: readonly T[]): T => {
  const [first] = list
  if (first === undefined || list.length !== 1) throw new Error(`expected one, got ${list.length}`)
  return first
}

/** What one slot's start is answered. */
export const startOne = async (gate: Gate, runId: string, admission: Admission, nodeId: string) => {
  const answer = await gate.start([{ runId, admission }], nodeId)
  return answer.kind === 'cold' ? 'cold' : one(answer.outcomes)
}

export const capacities = (slots: number): Record<Pool, number> => ({
  bubblewrap: slots,
  runc: slots,
  gvisor: slots,
  none: slots,
})
