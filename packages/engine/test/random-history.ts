import type { Agent, RunJob } from '@muster/contracts'
import type { AttemptOutcome } from '@muster/core'
import { patchAgent, patchClass, patchWorkspace } from '@muster/store'
import { randomFrom } from '@muster/testkit'
import {
  applyConfiguration,
  cancelRun,
  checkInvariants,
  createTicker,
  rebuildGate,
  releaseSession,
  requeueTask,
  sweepGate,
} from '../src/index.ts'
import { type Caps, createWatch, runningByPlace } from './history-watch.ts'
import { FAILED, openStagedFleet, type StagedFleet, SUCCEEDED } from './staged-fleet.ts'
import { type Books, SLOTS, VirtualWorker } from './virtual-worker.ts'

export type History = { readonly faults: readonly string[]; readonly trail: readonly string[]; readonly runs: number }

type Known = {
  readonly runId: string
  readonly taskId: string
  readonly sessionId: string | null
  readonly classKey: string
}

const DRAIN_ROUNDS = 120
const OUTCOMES: readonly AttemptOutcome[] = [
  SUCCEEDED,
  SUCCEEDED,
  SUCCEEDED,
  FAILED,
  { kind: 'timed_out', timeoutMs: 5, exitCode: null },
  { kind: 'handed_back', progressed: true },
]
/** Statements whose answers the engine may lose; the others end the duty or the request that asked. */
const FRAGILE =
  /^gate\.|^(accept_commands|claim_runs|end_runs|finish_runs|append_events|take_lost|burn_admission|expire_runs|make_due|offers_of)$/

/** One random walk over the real store, gate and engine, then a calm in which everything must come to its end. */
export async function playHistory(historySeed: number, steps: number): Promise<History> {
  const fleet = await openStagedFleet()
  try {
    return await new Walk(fleet, randomFrom(historySeed)).play(steps)
  } finally {
    await fleet.close()
  }
}

class Walk {
  readonly #fleet: StagedFleet
  readonly #random: () => number
  readonly #caps: Caps = new Map()
  readonly #watch: ReturnType<typeof createWatch>
  readonly #workers: VirtualWorker[] = []
  readonly #known: Known[] = []
  readonly #tasksByKey = new Map<string, string>()
  readonly #underway = new Set<Promise<void>>()
  readonly #trail: string[] = []
  readonly #faults: string[] = []
  readonly #books: Books = { owners: new Map(), ends: [], faults: this.#faults }
  readonly #agents: Agent[] = []
  #steps = 0

  constructor(fleet: StagedFleet, random: () => number) {
    this.#fleet = fleet
    this.#random = random
    this.#watch = createWatch(fleet, this.#caps)
  }

  async play(steps: number): Promise<History> {
    const fleet = this.#fleet
    this.#agents.push(
      await fleet.agent({ limits: { concurrency: 3, lanes: { main: { concurrency: 1 }, side: { weight: 3 } } } }),
      await fleet.agent({ weight: 2 }),
    )
    this.#caps.set(`agent ${this.#agents[0]?.id}`, 3).set(`lane ${this.#agents[0]?.id}/main`, 1)
    await this.#limitWorkspace(5)
    for (let n = 0; n < 3; n++) this.#workers.push(new VirtualWorker(fleet, this.#books, await fleet.node(SLOTS)))
    fleet.staging.always((step) =>
      FRAGILE.test(step) && this.#chance(0.04) ? { lose: this.#chance(0.5) ? 'call' : 'answer' } : null,
    )
    for (this.#steps = 0; this.#steps < steps && this.#faults.length === 0; this.#steps++) {
      await this.#step()
      this.#faults.push(...(await this.#watch.look()))
    }
    fleet.staging.always(() => null)
    await this.#calm()
    this.#faults.push(...misunderstandings(this.#fleet.logged))
    const { rows } = await fleet.database.pool.query(`SELECT status, count(*)::integer AS n FROM attempts GROUP BY 1`)
    this.#note(`attempts: ${rows.map((row) => `${row.n} ${row.status}`).join(', ')}`)
    return { faults: this.#faults, trail: this.#trail, runs: this.#known.length }
  }

  async #step(): Promise<void> {
    const moves: readonly (readonly [weight: number, name: string, move: () => Promise<unknown>])[] = [
      [22, 'accept', () => this.#accept()],
      [30, 'take', async () => this.#behind(this.#take(this.#pick(this.#workers)))],
      [12, 'write', async () => this.#behind(this.#write())],
      [18, 'finish', async () => this.#behind(this.#finish())],
      [9, 'tick', () => this.#tick()],
      [3, 'double tick', async () => Promise.all([this.#tick(), this.#otherTick()])],
      [4, 'beats', () => this.#beats()],
      [3, 'sweep', () => sweepGate(this.#fleet.context)],
      [3, 'cancel', () => this.#cancel()],
      [2, 'requeue', () => this.#requeue()],
      [1, 'release session', () => this.#release()],
      [1, 'limit', () => this.#limit()],
      [1, 'pause', () => this.#pause()],
      [1.5, 'crash', () => this.#crash()],
      [3, 'mute', () => this.#mute()],
      [1.5, 'wake', () => this.#wake()],
      [1.5, 'flush', () => this.#fleet.redis.command('FLUSHALL')],
      [1.5, 'rebuild twice', () => this.#rebuildTwice()],
    ]
    let at = this.#random() * moves.reduce((sum, [weight]) => sum + weight, 0)
    const chosen = moves.find(([weight]) => {
      at -= weight
      return at < 0
    })
    const [, name, move] = chosen ?? this.#pick(moves)
    this.#note(name)
    await move().catch((error: unknown) =>
      this.#note(`${name}: ${error instanceof Error ? error.message : String(error)}`),
    )
    if (this.#underway.size > 12) await Promise.race([...this.#underway])
  }

  async #accept(): Promise<void> {
    const agent = this.#pick(this.#agents)
    const key = this.#chance(0.2) ? `key-${Math.floor(this.#random() * 8)}` : null
    const command = {
      agent: agent.key,
      message: key ?? 'go',
      lane: this.#pick(['main', 'side']),
      priority: Math.floor(this.#random() * 101),
      ...(key === null && this.#chance(0.4) ? { session_key: this.#pick(['red', 'blue']) } : {}),
      ...(this.#chance(0.15) ? { delay_ms: Math.floor(this.#random() * 4000) } : {}),
      ...(this.#chance(0.1) ? { ttl_ms: 1 + Math.floor(this.#random() * 6000) } : {}),
      policy: {
        network_enabled: this.#chance(0.3),
        retry: {
          max_attempts: this.#pick([1, 2, 3]),
          delay_ms: this.#pick([0, 0, 1500]),
          backoff: 'exponential' as const,
        },
      },
    }
    const keyed = key === null ? command : { agent: agent.key, message: key }
    const answer = await this.#fleet.acceptor.accept({
      workspace: this.#fleet.workspace,
      command: keyed,
      idempotencyKey: key,
    })
    const taskId = answer.outcome === 'accepted' ? answer.task.id : answer.taskId
    const place = `${agent.id} ${key}`
    const before = key === null ? undefined : this.#tasksByKey.get(place)
    if (before !== undefined && before !== taskId) this.#faults.push(`key ${key} made ${before} and ${taskId}`)
    if (key !== null) this.#tasksByKey.set(place, taskId)
    if (answer.outcome === 'accepted')
      this.#known.push({
        runId: answer.run.id,
        taskId,
        sessionId: answer.run.session_id,
        classKey: answer.run.class_key,
      })
  }

  async #take(worker: VirtualWorker): Promise<void> {
    const { jobs } = this.#fleet
    if (worker.gone || worker.mute || worker.held.size + worker.claiming.size >= SLOTS) return
    const [job]: RunJob[] = jobs.splice(Math.floor(this.#random() * jobs.length), 1)
    if (job === undefined) return
    if (this.#chance(0.08)) jobs.push(job)
    this.#note(`${worker.nodeId} takes ${job.run_id}`)
    await worker.take(job)
  }

  async #write(): Promise<void> {
    const worker = this.#pick(this.#workers.filter((each) => !each.mute))
    for (const run of worker.held.values()) await worker.write(run, `${run.generation}`)
  }

  async #finish(): Promise<void> {
    const worker = this.#pick(this.#workers.filter((each) => !each.mute))
    const [run] = [...worker.held.values()]
    if (run === undefined) return
    const outcome = this.#pick(OUTCOMES)
    this.#note(`${worker.nodeId} ends ${run.run_id}/${run.generation} ${outcome.kind}`)
    await worker.finish(run, outcome)
  }

  async #beats(): Promise<void> {
    for (const worker of this.#workers) await worker.beat()
  }

  async #tick(): Promise<void> {
    await this.#fleet.advance(1000)
    for (const worker of this.#workers) if (this.#chance(0.85)) await worker.beat()
    await this.#fleet.tick()
  }

  async #otherTick(): Promise<void> {
    const other = createTicker(this.#fleet.context, { lossesMax: 5, retentionDays: 30, takesAfterMs: 900 })
    await this.#fleet.database.pool.query(`UPDATE fleet SET ticked_at = '-infinity'`)
    await other.tick()
  }

  async #cancel(): Promise<void> {
    const one = this.#pick(this.#known)
    await cancelRun(this.#fleet.context, one.runId, { code: 'cancelled', reason: 'walk' })
  }

  async #requeue(): Promise<void> {
    const { rows } = await this.#fleet.database.pool.query(`SELECT id FROM tasks WHERE status = 'dead_letter' LIMIT 1`)
    const [task] = rows
    if (task !== undefined)
      await Promise.allSettled([requeueTask(this.#fleet.context, task.id), requeueTask(this.#fleet.context, task.id)])
  }

  async #release(): Promise<void> {
    const one = this.#known.findLast((each) => each.sessionId !== null)
    if (one?.sessionId != null) await releaseSession(this.#fleet.context, one.sessionId, 'walk')
  }

  async #limit(): Promise<void> {
    const limit = 1 + Math.floor(this.#random() * 3)
    const one = this.#pick(this.#known)
    if (this.#chance(0.5)) return this.#limitWorkspace(limit + 2)
    const place = `class ${one.classKey}`
    this.#caps.set(place, this.#caps.has(place) ? Math.max(limit, this.#caps.get(place) ?? 0) : 99)
    const patched = await patchClass(this.#fleet.database, this.#fleet.workspace.id, one.classKey, { limit })
    if (patched !== null) await applyConfiguration(this.#fleet.context, patched.configuration)
  }

  async #limitWorkspace(limit: number): Promise<void> {
    this.#caps.set('workspace', Math.max(limit, this.#caps.get('workspace') ?? 0))
    const patched = await patchWorkspace(this.#fleet.database, this.#fleet.workspace.id, {
      limits: { concurrency: limit },
    })
    if (patched !== null) await applyConfiguration(this.#fleet.context, patched.configuration)
  }

  async #pause(): Promise<void> {
    const paused = this.#chance(0.5)
    const patched = await patchAgent(this.#fleet.database, this.#fleet.workspace.id, this.#pick(this.#agents).id, {
      paused,
    })
    if (patched !== null) await applyConfiguration(this.#fleet.context, patched.configuration)
  }

  async #crash(): Promise<void> {
    const worker = this.#pick(this.#workers)
    worker.gone = true
    worker.held.clear()
    this.#workers.splice(
      this.#workers.indexOf(worker),
      1,
      new VirtualWorker(this.#fleet, this.#books, await this.#fleet.node(SLOTS)),
    )
  }

  /** A worker with something in hand stands still, neither beats nor works: sometimes until it is dead and its runs are others'. */
  async #mute(): Promise<void> {
    const busy = this.#workers.find((worker) => !worker.mute && worker.held.size > 0)
    if (busy === undefined) return
    busy.mute = true
    if (this.#chance(0.4)) return
    for (let tick = 0; tick < 3; tick++) await this.#tick()
    for (const worker of this.#workers) if (worker !== busy) this.#behind(this.#take(worker))
  }

  /** One that stood still goes on where it was, before it hears what became of its runs. */
  async #wake(): Promise<void> {
    for (const worker of this.#workers.filter((each) => each.mute)) {
      this.#note(`${worker.nodeId} wakes up with ${[...worker.held.keys()].join(' ')}`)
      for (const run of [...worker.held.values()]) {
        if (this.#chance(0.5)) await worker.write(run, `${run.generation}`)
        this.#behind(worker.finish(run, this.#pick(OUTCOMES)))
      }
      worker.mute = false
    }
  }

  async #rebuildTwice(): Promise<void> {
    const rebuild = async () => {
      await this.#fleet.database.pool.query(`UPDATE fleet SET raised_at = '-infinity'`)
      return rebuildGate(this.#fleet.context)
    }
    await Promise.allSettled([rebuild(), rebuild()])
  }

  /** No more faults: ticks go on, workers work, and every run must come to its end under the lowest limits. */
  async #calm(): Promise<void> {
    this.#note('calm')
    for (const agent of this.#agents)
      await patchAgent(this.#fleet.database, this.#fleet.workspace.id, agent.id, { paused: false })
    await this.#limitWorkspace(2)
    await this.#wake()
    let tight = false
    for (let round = 0; round < DRAIN_ROUNDS && this.#faults.length === 0; round++) {
      await this.#fleet.advance(1000)
      await this.#beats()
      await this.#fleet.tick()
      await sweepGate(this.#fleet.context)
      await this.#settled()
      if (!tight && round > 8 && ((await runningByPlace(this.#fleet)).get('workspace') ?? 0) <= 2) {
        tight = true
        this.#caps.set('workspace', 2)
      }
      for (const worker of this.#workers) await this.#fill(worker)
      this.#faults.push(...(await this.#watch.look()))
      for (const worker of this.#workers)
        for (const run of [...worker.held.values()]) await worker.finish(run, SUCCEEDED)
      if (await this.#quiet()) break
    }
    await this.#settled()
    const { violations } = await checkInvariants(this.#fleet.context)
    this.#faults.push(
      ...(await this.#watch.judge(this.#books.ends)),
      ...violations.map((each) => `${each.code} ${each.run_id ?? ''} ${each.detail}`),
    )
    const counts = await this.#fleet.gate.counts()
    if (counts.kind === 'cold') this.#faults.push('the gate is cold')
    else
      for (const [pool, { queued, due, used }] of Object.entries(counts.pools))
        if (queued + due + used > 0) this.#faults.push(`${pool} is not empty: ${queued} ${due} ${used}`)
  }

  async #fill(worker: VirtualWorker): Promise<void> {
    while (worker.held.size < SLOTS) {
      const job = this.#fleet.jobs.shift()
      if (job === undefined) return
      await worker.take(job)
    }
  }

  async #quiet(): Promise<boolean> {
    const { rows } = await this.#fleet.database.pool.query(`SELECT FROM runs WHERE ended_at IS NULL LIMIT 1`)
    const counts = await this.#fleet.gate.counts()
    return (
      rows.length === 0 &&
      counts.kind === 'warm' &&
      Object.values(counts.pools).every((pool) => pool.queued + pool.due + pool.used === 0)
    )
  }

  async #settled(): Promise<void> {
    await Promise.allSettled([...this.#underway])
    await this.#fleet.acceptor.settled()
  }

  #behind(work: Promise<void>): void {
    const tracked: Promise<void> = work
      .catch((error: unknown) => this.#note(`behind: ${error instanceof Error ? error.message : String(error)}`))
      .finally(() => this.#underway.delete(tracked))
    this.#underway.add(tracked)
  }

  #pick<T>(from: readonly T[]): T {
    const one = from[Math.floor(this.#random() * from.length)]
    if (one === undefined) throw new Error('nothing to choose from')
    return one
  }

  #chance(share: number): boolean {
    return this.#random() < share
  }

  #note(what: string): void {
    this.#trail.push(`${this.#steps} ${what}`)
  }
}

/** What a store or a gate answered that nobody understands, which no staged fault explains. */
const misunderstandings = (logged: StagedFleet['logged']): readonly string[] =>
  logged.flatMap(({ fields, message }) =>
    'err' in fields && fields.err instanceof Error && fields.err.name === 'ZodError'
      ? [`${message}: ${fields.err.message}`]
      : [],
  )
