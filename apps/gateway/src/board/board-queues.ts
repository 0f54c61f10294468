import { BullMQAdapter } from '@bull-board/api/bullMQAdapter'
import type { BullBoardQueues, BullBoardRequest } from '@bull-board/api/typings/app'
import type { EngineContext } from '@muster/engine'
import { type BoardLane, boardLanes, busyLanes, laneCounts } from '@muster/store'
import { type LaneActions, LaneQueue } from './lane-queue.ts'

const LANES_MAX = 50
/** Runs of a state are counted up to this; of the lane that is looked at, up to the second. */
const COUNTED_MAX = 1000
const COUNTED_ACTIVE_MAX = 10_000

/** The queues that one request of the board sees: the lanes with work, the one it asks for, and the pools where Redis answers. */
export async function boardQueues(
  context: EngineContext,
  actions: LaneActions,
  request: Pick<BullBoardRequest, 'params' | 'query'>,
): Promise<BullBoardQueues> {
  const asked = askedFor(request)
  const queues: BullBoardQueues = new Map()
  for (const lane of await lanesFor(context, asked))
    queues.set(lane.name, new LaneQueue(context.database.pool, lane, lane.counts, actions))
  for (const pool of await poolQueues(context)) queues.set(pool.getName(), pool)
  return queues
}

async function lanesFor({ database: { pool } }: EngineContext, asked: string | null) {
  const busy = await busyLanes(pool, LANES_MAX)
  const names = asked === null || !asked.includes('/') || busy.includes(asked) ? busy : [asked, ...busy]
  const lanes: readonly BoardLane[] = await boardLanes(pool, names)
  const bounds = new Map(lanes.map(({ name }) => [name, name === asked ? COUNTED_ACTIVE_MAX : COUNTED_MAX]))
  const counts = await laneCounts(pool, bounds)
  return lanes.flatMap((lane) => {
    const known = counts.get(lane.name)
    return known === undefined ? [] : [{ ...lane, counts: known }]
  })
}

/** One name by path, else the one that the page shows. */
function askedFor({ params, query }: Pick<BullBoardRequest, 'params' | 'query'>): string | null {
  const name: unknown = params['queueName'] ?? query['activeQueue']
  if (typeof name !== 'string' || name === '') return null
  try {
    return decodeURIComponent(name)
  } catch {
    return name
  }
}

/** Read-only: their jobs carry work to workers and are the gate's alone. Left out while Redis does not answer. */
async function poolQueues({ gate }: EngineContext): Promise<readonly BullMQAdapter[]> {
  const answers = await gate.state().then(
    () => gate.connected(100),
    () => false,
  )
  if (!answers) return []
  return gate
    .queues()
    .map((queue) => new BullMQAdapter(queue, { readOnlyMode: true, description: 'pool: jobs on their way to workers' }))
}
