import { newId } from '@muster/core'
import { type Admitted, createGate, type Gate, type GateOffer, type GatePlace, type GateReply } from '@muster/gate'
import type { Servers } from '../fleet/servers.ts'
import { type Figures, type Measure, soloCell } from '../measure.ts'
import type { Cell } from '../report/cell.ts'

/** The same depth with few classes and with many: workspaces, agents of each, lanes of each, one class a lane. */
const TREES = {
  '10': { workspaces: 10, agents: 1, lanes: 1 },
  '10,000': { workspaces: 100, agents: 10, lanes: 10 },
} as const

type Tree = (typeof TREES)[keyof typeof TREES]

/** Runs in one call, as the gateway and the worker gather them; and calls on their way at once. */
const BATCH = 16
const CALLERS = 4
const SLOTS = BATCH * CALLERS
const CALL_MS = 30_000

/** (d) How fast the gate takes runs while every slot is held, and how fast it frees slots and gives them on. */
export async function gate(servers: Servers, measure: Measure): Promise<readonly Cell[]> {
  const backlog = measure.size({ full: 40_000, quick: 20_000, trial: 1000 })
  const releases = measure.size({ full: 20_000, quick: 5000, trial: 500 })
  const figures: Record<keyof typeof TREES, Figures<'offers' | 'releases'>[]> = { '10': [], '10,000': [] }
  for (let round = 0; round < measure.rounds; round++) {
    const order = round % 2 === 0 ? (['10', '10,000'] as const) : (['10,000', '10'] as const)
    for (const classes of order) figures[classes].push(await rates(servers, TREES[classes], backlog, releases))
  }
  const cellOf = (classes: keyof typeof TREES, figure: 'offers' | 'releases') => ({
    name: figure === 'offers' ? `gate: offers, ${classes} classes` : `gate: release and next, ${classes} classes`,
    unit: 'runs/s',
  })
  const few = soloCell(figures['10'], 'releases', cellOf('10', 'releases'))
  return [
    soloCell(figures['10'], 'offers', cellOf('10', 'offers')),
    soloCell(figures['10,000'], 'offers', cellOf('10,000', 'offers')),
    few,
    soloCell(figures['10,000'], 'releases', {
      ...cellOf('10,000', 'releases'),
      goal: ({ muster }) => {
        const ratio = muster.median / few.muster.median
        return { text: `>= 0.8x of 10 classes (${ratio.toFixed(2)}x)`, reached: ratio >= 0.8 }
      },
    }),
  ]
}

async function rates(
  servers: Servers,
  tree: Tree,
  backlog: number,
  releases: number,
): Promise<Figures<'offers' | 'releases'>> {
  await servers.flushRedis()
  const opened = createGate({
    redisUrl: servers.redisUrl,
    timeoutsMs: { call: CALL_MS, worker: CALL_MS, load: CALL_MS },
  })
  try {
    if (!(await opened.connected(CALL_MS))) throw new Error('the gate has no connection')
    const loaded = await opened.load({ epoch: 1, config: [], holdings: [], capacities: { none: SLOTS } })
    if (loaded !== 'loaded') throw new Error('the gate was not loaded')
    const places = placesOf(tree)
    const held = await holdAll(opened, places)
    const offers = batchesOf(offersOf(places, backlog, SLOTS))
    const offering = await timed(() =>
      together(async () => {
        for (let batch = offers.pop(); batch !== undefined; batch = offers.pop())
          admittedBy(await opened.offer(batch), 0)
      }),
    )
    const calls = Math.ceil(releases / SLOTS)
    const releasing = await timed(() =>
      together(async () => {
        let mine = held.splice(0, BATCH)
        for (let call = 0; call < calls; call++) mine = admittedBy(await opened.release(mine, []), BATCH)
      }),
    )
    return { offers: backlog / offering, releases: (calls * SLOTS) / releasing }
  } finally {
    await opened.close()
  }
}

/** Takes every slot, so that from here on a run starts only when another ends. */
async function holdAll(opened: Gate, places: readonly GatePlace[]): Promise<Admitted[]> {
  return admittedBy(await opened.offer(offersOf(places, SLOTS, 0)), SLOTS)
}

function admittedBy(reply: GateReply, expected: number): Admitted[] {
  if (reply.kind === 'cold') throw new Error('the gate is cold')
  if (reply.admitted.length !== expected)
    throw new Error(`the gate gave ${reply.admitted.length} slots, not ${expected}`)
  return [...reply.admitted]
}

function placesOf({ workspaces, agents, lanes }: Tree): readonly GatePlace[] {
  const places: GatePlace[] = []
  for (let workspace = 0; workspace < workspaces; workspace++) {
    const workspaceId = newId('workspace')
    for (let agent = 0; agent < agents; agent++) {
      const agentId = newId('agent')
      for (let lane = 0; lane < lanes; lane++)
        places.push({
          workspaceId,
          agentId,
          lane: `lane-${lane}`,
          classKey: `cls_${places.length.toString(16).padStart(32, '0')}`,
          pool: 'none',
          jobName: `tenant-${workspace}/agent-${agent}/lane-${lane}`,
        })
    }
  }
  return places
}

/** Runs that go round all classes, numbered in the order of acceptance after `accepted` others. */
function offersOf(places: readonly GatePlace[], runs: number, accepted: number): readonly GateOffer[] {
  const queuedAtMs = Date.now()
  const offers: GateOffer[] = []
  while (offers.length < runs)
    for (const place of places.slice(0, runs - offers.length)) {
      const order = accepted + offers.length + 1
      offers.push({ ...place, runId: newId('run'), priority: 50, order, front: false, notBeforeMs: null, queuedAtMs })
    }
  return offers
}

/** To be popped, the first one last. */
function batchesOf(offers: readonly GateOffer[]): GateOffer[][] {
  const batches: GateOffer[][] = []
  for (let begin = 0; begin < offers.length; begin += BATCH) batches.push(offers.slice(begin, begin + BATCH))
  return batches.reverse()
}

const together = (caller: () => Promise<void>): Promise<unknown> => Promise.all(Array.from({ length: CALLERS }, caller))

/** In seconds. */
async function timed(work: () => Promise<unknown>): Promise<number> {
  const begun = performance.now()
  await work()
  return (performance.now() - begun) / 1000
}
