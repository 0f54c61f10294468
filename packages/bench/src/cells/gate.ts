import { newId } from '@muster/core'
import { type Admitted, createGate, type Gate, type GateOffer, type GatePlace, type GateReply } from '@muster/gate'
import type { Servers } from '../fleet/servers.ts'
import { type Figures, type Measure, soloCell } from '../measure.ts'
import type { Cell, Goal } from '../report/cell.ts'

/** Workspaces, agents of each, lanes of each, one class a lane. */
const TREES = {
  '10 classes': { workspaces: 10, agents: 1, lanes: 1 },
  '10,000 classes': { workspaces: 10_000, agents: 1, lanes: 1 },
  '10,000 classes of 100 tenants': { workspaces: 100, agents: 10, lanes: 10 },
} as const

type TreeName = keyof typeof TREES
type Tree = (typeof TREES)[TreeName]

const NAMES = Object.keys(TREES).filter((name): name is TreeName => name in TREES)

/** Runs in one call, as the gateway and the worker gather them under load; and calls on their way at once. */
const BATCH = 16
const CALLERS = 4
const SLOTS = BATCH * CALLERS
const CALL_MS = 30_000

type Figure = 'offers' | 'singles' | 'batches'

const TEXTS: Readonly<Record<Figure, string>> = {
  offers: `offers, ${BATCH} a call`,
  singles: 'release and next, one a call',
  batches: `release and next, ${BATCH} a call`,
}

/** (d) How fast the gate takes runs while every slot is held, and how fast it frees slots and gives them on. */
export async function gate(servers: Servers, measure: Measure): Promise<readonly Cell[]> {
  const backlog = measure.size({ full: 40_000, quick: 30_000, trial: 1000 })
  const releases = measure.size({ full: 10_000, quick: 5000, trial: 200 })
  const figures = new Map<TreeName, Figures<Figure>[]>(NAMES.map((name) => [name, []]))
  for (let round = 0; round < measure.rounds; round++)
    for (const name of round % 2 === 0 ? NAMES : NAMES.toReversed())
      figures.get(name)?.push(await rates(servers, TREES[name], backlog, releases))
  const cellOf = (name: TreeName, figure: Figure, goal?: (cell: Cell) => Goal): Cell =>
    soloCell(figures.get(name) ?? [], figure, {
      name: `gate: ${TEXTS[figure]}, ${name}`,
      unit: 'runs/s',
      ...(goal === undefined ? {} : { goal }),
    })
  const few = cellOf('10 classes', 'singles').muster.median
  const nearFew = ({ muster }: Cell): Goal => {
    const ratio = muster.median / few
    return { text: `>= 0.8x of 10 classes (${ratio.toFixed(2)}x)`, reached: ratio >= 0.8 }
  }
  return [
    ...NAMES.map((name) => cellOf(name, 'offers')),
    ...NAMES.map((name) => cellOf(name, 'singles', name === '10 classes' ? undefined : nearFew)),
    ...NAMES.map((name) => cellOf(name, 'batches')),
  ]
}

async function rates(servers: Servers, tree: Tree, backlog: number, releases: number): Promise<Figures<Figure>> {
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
    const shares = Array.from({ length: CALLERS }, () => held.splice(0, BATCH))
    const singles = await timed(() =>
      Promise.all(
        shares.map(async (mine) => {
          for (let call = 0; call < releases / CALLERS; call++)
            mine.push(...admittedBy(await opened.release(mine.splice(0, 1), []), 1))
        }),
      ),
    )
    const batches = await timed(() =>
      Promise.all(
        shares.map(async (mine) => {
          for (let call = 0; call < releases / SLOTS; call++)
            mine.push(...admittedBy(await opened.release(mine.splice(0), []), BATCH))
        }),
      ),
    )
    const batched = Math.ceil(releases / SLOTS) * SLOTS
    return { offers: backlog / offering, singles: releases / singles, batches: batched / batches }
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
