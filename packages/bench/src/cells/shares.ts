import { setTimeout as sleep } from 'node:timers/promises'
import { createGate, type Gate, type GateSlot } from '@muster/gate'
import { lasting, startMuster } from '../fleet/muster.ts'
import { query, type Servers } from '../fleet/servers.ts'
import { sendLoad } from '../load/load.ts'
import { type Measure, soloCell } from '../measure.ts'
import type { Cell } from '../report/cell.ts'
import { jainIndex } from '../statistics.ts'

const TENANTS = 20
/** Fewer than tenants, so that they must take turns. */
const SLOTS = 8
/** How long each tenant's runs last: the tenants take these in turn. */
const RUN_MS = [5, 10, 20, 30, 40]
const SETTLE_S = 1
const SAMPLE_MS = 4
const CALL_MS = 10_000

/** Jain's index over the slot-seconds of tenants that always have more to do, whose runs differ in length. */
export async function measureShares(servers: Servers, measure: Measure): Promise<Cell> {
  // 50 of the longest runs are 2 s.
  const seconds = measure.size({ full: 10, quick: 4, trial: 2 })
  const rounds: { readonly jain: number }[] = []
  for (let round = 0; round < measure.rounds; round++) rounds.push({ jain: await jainOf(servers, seconds) })
  return soloCell(rounds, 'jain', {
    name: `Jain's index of slot-seconds, ${TENANTS} tenants, ${SLOTS} slots, runs of ${RUN_MS[0]} to ${RUN_MS.at(-1)} ms`,
    unit: '',
    goal: ({ muster }) => ({ text: '>= 0.98', reached: muster.median >= 0.98 }),
  })
}

async function jainOf(servers: Servers, seconds: number): Promise<number> {
  const muster = await startMuster(servers, { concurrency: SLOTS, poolSize: 10, workspaces: TENANTS })
  const gate = createGate({ redisUrl: servers.redisUrl, timeoutsMs: { call: CALL_MS } })
  try {
    if (!(await gate.connected(CALL_MS))) throw new Error('the gate has no connection')
    for (const [kind, ms] of RUN_MS.entries()) {
      const clients = muster.tenants.filter((_, index) => index % RUN_MS.length === kind)
      // What its share of the slots gets through if a run took no longer than it says: more than it can.
      const runs = Math.ceil(((seconds + SETTLE_S) * SLOTS * 1000) / TENANTS / ms) + SLOTS
      const target = { url: muster.target.url, clients, body: { agent: 'bench', message: lasting({ ms }) } }
      await sendLoad(target, { kind: 'closed', clients: 16, requests: runs * clients.length })
    }
    const worker = await muster.startWorker()
    await sleep(SETTLE_S * 1000)
    const held = await watchSlots(gate, seconds)
    const waiting = await query<{ workspace_id: string }>(
      muster.databaseUrl,
      `SELECT DISTINCT workspace_id FROM runs WHERE status = 'queued'`,
    )
    await worker.kill()
    if (waiting.length < TENANTS) throw new Error(`${TENANTS - waiting.length} tenants had nothing left to do`)
    return jainIndex(muster.tenants.map(({ id }) => held.get(id) ?? 0))
  } finally {
    await gate.close()
    await muster.stop()
  }
}

/** How long each workspace held slots, in ms, by looking at what the gate holds every few milliseconds. */
async function watchSlots(gate: Gate, seconds: number): Promise<ReadonlyMap<string, number>> {
  const held = new Map<string, number>()
  const begun = performance.now()
  let looked = begun
  while (looked - begun < seconds * 1000) {
    await sleep(SAMPLE_MS)
    const slots = await slotsOf(gate)
    const now = performance.now()
    for (const { workspaceId } of slots) held.set(workspaceId, (held.get(workspaceId) ?? 0) + now - looked)
    looked = now
  }
  return held
}

async function slotsOf(gate: Gate): Promise<readonly GateSlot[]> {
  const page = await gate.audit(null)
  if (page.kind === 'cold') throw new Error('the gate is cold')
  return page.slots
}
