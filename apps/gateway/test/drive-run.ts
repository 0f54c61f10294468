import type { JsonValue } from '@muster/contracts'
import { type AttemptEnd, admissionOf, endAttempt, NO_USAGE, newId } from '@muster/core'
import { appendEvents, beatNode, claimRuns, type Database, finishRuns, readEpoch, registerNode } from '@muster/store'

const RETRY = { max_attempts: 1, delay_ms: 0, backoff: 'fixed', max_delay_ms: 0 } as const
const FRESH = { attemptCount: 0, maxAttempts: 1, losses: 0, handBacks: 0, retry: RETRY }

/** Stands in for a worker: takes runs through Postgres alone, at the pace of a test. */
export class Driver {
  readonly nodeId = newId('node')
  readonly #database: Database
  #admissions = 0
  #flushes = 0

  private constructor(database: Database) {
    this.#database = database
  }

  static async register(database: Database): Promise<Driver> {
    const driver = new Driver(database)
    await registerNode(database.pool, {
      id: driver.nodeId,
      host: 'test',
      hostIdentity: 'test',
      pid: 1,
      address: null,
      pools: { bubblewrap: 4 },
      labels: {},
      metadata: {},
      version: '0.0.0',
    })
    return driver
  }

  /** The generation under which the run runs now. */
  async claim(runId: string): Promise<number> {
    const admission = admissionOf(await readEpoch(this.#database.pool), 1_000_000 + ++this.#admissions)
    const [verdict] = await claimRuns(this.#database.pool, this.nodeId, [{ runId, admission }])
    if (verdict?.verdict !== 'claimed') throw new Error(`the run ${runId} was not claimed: ${verdict?.verdict}`)
    return verdict.run.generation
  }

  /** Lives, and says so. */
  async say(runId: string, generation: number, texts: readonly string[]): Promise<void> {
    const held = [{ runId, generation }]
    await beatNode(this.#database.pool, { nodeId: this.nodeId, held, claiming: [], used: 1, phase: 'active' })
    const events = texts.map((text) => ({ type: 'agent.delta', data: { text } }) as const)
    await appendEvents(this.#database.pool, [{ runId, generation, flush: ++this.#flushes, events }])
  }

  /** Prints to stdout. */
  async print(runId: string, generation: number, texts: readonly string[]): Promise<void> {
    const events = texts.map((text) => ({ type: 'agent.log', data: { stream: 'stdout', text } }) as const)
    await appendEvents(this.#database.pool, [{ runId, generation, flush: ++this.#flushes, events }])
  }

  async save(runId: string, generation: number, state: JsonValue): Promise<void> {
    await appendEvents(this.#database.pool, [
      { runId, generation, flush: ++this.#flushes, events: [{ type: 'agent.snapshot', data: {}, state }] },
    ])
  }

  async succeed(runId: string, generation: number, output: JsonValue): Promise<void> {
    await this.#finish(
      runId,
      generation,
      endAttempt(FRESH, { kind: 'succeeded', output, outputTruncated: false, exitCode: 0 }),
    )
  }

  async fail(runId: string, generation: number): Promise<void> {
    const failure = { code: 'agent_error', message: 'it did not work', retryable: false }
    await this.#finish(runId, generation, endAttempt(FRESH, { kind: 'failed', failure, exitCode: 1 }))
  }

  async #finish(runId: string, generation: number, end: AttemptEnd): Promise<void> {
    const { moved } = await finishRuns(this.#database.pool, [
      { runId, sessionId: null, generation, end, usage: NO_USAGE, limits: {} },
    ])
    if (moved.length !== 1) throw new Error(`the run ${runId} is no longer held by generation ${generation}`)
  }
}
