import type { BullBoardQueues, BullBoardRequest } from '@bull-board/api/typings/app'
import { slugSchema } from '@muster/contracts'
import type { EngineContext } from '@muster/engine'
import { boardLanes, busyLanes, type LaneCounts, laneCounts } from '@muster/store'
import { z } from 'zod'
import { decoded } from './bounded-query.ts'
import { type LaneActions, LaneQueue } from './lane-queue.ts'
import { PoolQueue } from './pool-queue.ts'

const LANES_MAX = 50
/** Runs of a state are counted up to this; of the lane that is looked at, up to the second. */
const COUNTED_MAX = 1000
const COUNTED_ACTIVE_MAX = 10_000
const NOTHING: LaneCounts = { waiting: 0, delayed: 0, active: 0, completed: 0, failed: 0 }
/** No other text is a lane's name, so that each lane has one. */
const LANE_PARTS = z.tuple([slugSchema, slugSchema, slugSchema])

/**
 * The queues that one request of the board sees. One that names a queue in its path sees that one; the list sees the lanes with work, the one
 * that its page shows, and the pools where Redis answers.
 */
export async function boardQueues(
  context: EngineContext,
  actions: LaneActions,
  { params, query }: Pick<BullBoardRequest, 'params' | 'query'>,
): Promise<BullBoardQueues> {
  const named: unknown = params['queueName']
  if (typeof named === 'string' && isLane(named)) return byName(await namedLane(context, actions, named))
  if (named !== undefined) return byName((await poolQueues(context)).filter((pool) => pool.getName() === named))
  const [lanes, pools] = await Promise.all([
    listedLanes(context, actions, decoded(query['activeQueue'])),
    poolQueues(context),
  ])
  return byName([...lanes, ...pools])
}

const byName = (queues: readonly (LaneQueue | PoolQueue)[]): BullBoardQueues =>
  new Map(queues.map((queue) => [queue.getName(), queue]))

const isLane = (name: string): boolean => LANE_PARTS.safeParse(name.split('/')).success

/** Its runs are counted only where the request asks for that: what acts on one run needs no numbers. */
async function namedLane({ database: { pool } }: EngineContext, actions: LaneActions, name: string) {
  const counts = async () => (await laneCounts(pool, new Map([[name, COUNTED_ACTIVE_MAX]]))).get(name) ?? NOTHING
  return (await boardLanes(pool, [name])).map((lane) => new LaneQueue(pool, lane, counts, actions))
}

async function listedLanes({ database: { pool } }: EngineContext, actions: LaneActions, shown: string | null) {
  const busy = await busyLanes(pool, LANES_MAX)
  const names = shown === null || !isLane(shown) || busy.includes(shown) ? busy : [shown, ...busy]
  const lanes = await boardLanes(pool, names)
  const bounds = new Map(lanes.map(({ name }) => [name, name === shown ? COUNTED_ACTIVE_MAX : COUNTED_MAX]))
  const counts = await laneCounts(pool, bounds)
  return lanes.map((lane) => new LaneQueue(pool, lane, async () => counts.get(lane.name) ?? NOTHING, actions))
}

/** Left out while Redis does not answer. */
async function poolQueues({ gate }: EngineContext): Promise<readonly PoolQueue[]> {
  const answers = await gate.state().then(
    () => gate.connected(100),
    () => false,
  )
  return answers ? gate.queues().map((queue) => new PoolQueue(queue)) : []
}
