import { BaseAdapter } from '@bull-board/api/dist/queueAdapters/base.js'
import type { JobCounts, JobStatus, QueueJob, QueueMetrics, Status } from '@bull-board/api/typings/app'
import { runIdSchema } from '@muster/contracts'
import { AppError } from '@muster/core'
import {
  type BoardLane,
  type BoardRun,
  type BoardState,
  boardRuns,
  findBoardRun,
  type LaneCounts,
  type Queryable,
} from '@muster/store'
import { runLink } from './board-page.ts'
import { JOBS_PER_PAGE_MAX } from './bounded-query.ts'
import { eventLines } from './event-lines.ts'
import { laneJob, type RunActions } from './lane-job.ts'

const STATES = ['waiting', 'delayed', 'active', 'completed', 'failed'] as const satisfies readonly BoardState[]
const LOG_EVENTS = 1000
const NONE: QueueMetrics = { meta: { count: 0, prevTS: 0, prevCount: 0 }, data: [], count: 0 }

export type LaneActions = RunActions & {
  /** As `requeue`, of a dead letter as it was read: done when it is none any more. */
  readonly requeueUnlessMoved: RunActions['requeue']
  readonly pause: (lane: BoardLane, wanted: 'paused' | 'running') => Promise<void>
}

/** A lane of an agent as a queue of the board, read from Postgres. What the board could do beyond a run's own actions is refused. */
export class LaneQueue extends BaseAdapter {
  readonly #on: Queryable
  readonly #lane: BoardLane
  readonly #counts: () => Promise<LaneCounts>
  readonly #actions: LaneActions
  #newestFailed: string | null = null

  constructor(on: Queryable, lane: BoardLane, counts: () => Promise<LaneCounts>, actions: LaneActions) {
    // of the two kinds the one that has no flows
    super('bull', {
      delimiter: '/',
      allowCompletedRetries: false,
      description: lane.agentId === null ? 'the agent was deleted' : '',
      externalJobUrl: ({ id }) => ({ displayText: 'Open the run', href: runLink(String(id)) }),
    })
    this.#on = on
    this.#lane = lane
    this.#counts = counts
    this.#actions = actions
  }

  getName(): string {
    return this.#lane.name
  }

  getStatuses(): Status[] {
    return ['latest', ...STATES] as Status[]
  }

  getJobStatuses(): JobStatus[] {
    return [...STATES] as JobStatus[]
  }

  async getJobCounts(): Promise<JobCounts> {
    return { latest: 0, prioritized: 0, 'waiting-children': 0, paused: 0, ...(await this.#counts()) }
  }

  /**
   * Read for a page, or again and again for a retry of all: what somebody else requeued since needs nothing more and stops none of the
   * others, and what failed since is none of them.
   */
  async getJobs(statuses: JobStatus[], start = 0, end = JOBS_PER_PAGE_MAX - 1): Promise<QueueJob[]> {
    const page = { offset: start, limit: Math.min(end - start + 1, JOBS_PER_PAGE_MAX) }
    const wanted = STATES.filter((state) => statuses.some((status) => String(status) === state))
    const runs = await Promise.all(wanted.map((state) => this.#page(state, page)))
    const { requeue, requeueUnlessMoved } = this.#actions
    const actions = { ...this.#actions, requeue: this.#lane.agentId === null ? requeue : requeueUnlessMoved }
    return runs.flat().map((run) => laneJob(run, actions))
  }

  async #page(state: BoardState, page: { readonly offset: number; readonly limit: number }) {
    if (state !== 'failed') return boardRuns(this.#on, this.#lane.name, state, page)
    const runs = await boardRuns(this.#on, this.#lane.name, state, { ...page, from: this.#newestFailed })
    this.#newestFailed ??= runs[0]?.id ?? null
    return runs
  }

  /** A run of another lane is not there. */
  async getJob(id: string): Promise<QueueJob | null> {
    const run = await this.#run(id)
    return run === null ? null : laneJob(run, this.#actions)
  }

  async getJobLogs(id: string): Promise<string[]> {
    return (await this.#run(id)) === null ? [] : eventLines(this.#on, id, LOG_EVENTS)
  }

  async #run(id: string): Promise<BoardRun | null> {
    const run = runIdSchema.safeParse(id).success ? await findBoardRun(this.#on, id) : null
    return run?.job_name === this.#lane.name ? run : null
  }

  async isPaused(): Promise<boolean> {
    return this.#lane.paused
  }

  pause(): Promise<void> {
    return this.#actions.pause(this.#lane, 'paused')
  }

  resume(): Promise<void> {
    return this.#actions.pause(this.#lane, 'running')
  }

  async getMetrics(): Promise<QueueMetrics> {
    return NONE
  }

  async getRedisInfo(): Promise<null> {
    return null
  }

  async getJobSchedulers(): Promise<never[]> {
    return []
  }

  async getJobSchedulersCount(): Promise<number> {
    return 0
  }

  async getGlobalConcurrency(): Promise<null> {
    return null
  }

  clean = refused
  addJob = refused
  empty = refused
  obliterate = refused
  promoteAll = refused
  removeJobScheduler = refused
  updateJobScheduler = refused
  runJobSchedulerNow = refused
  setGlobalConcurrency = refused
}

async function refused(): Promise<never> {
  throw new AppError('invalid_transition', 'a lane of agents offers no such action')
}
