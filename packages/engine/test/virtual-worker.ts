import type { RunJob } from '@muster/contracts'
import type { AttemptOutcome } from '@muster/core'
import type { ClaimedRun } from '@muster/store'
import { EventWriter, startSlot } from '../src/index.ts'
import type { StagedFleet } from './staged-fleet.ts'

/** What workers were told: who holds which generation of a run, and whose ends were taken. */
export type Books = {
  readonly owners: Map<string, VirtualWorker>
  readonly ends: { readonly runId: string; readonly generation: number }[]
  readonly faults: string[]
}

/** A worker without sandboxes, stepped by hand: what it has in hand is all that it knows. */
export class VirtualWorker {
  readonly #fleet: StagedFleet
  readonly #books: Books
  readonly #writer: EventWriter
  readonly held = new Map<string, ClaimedRun>()
  readonly claiming = new Map<string, RunJob>()
  nodeId: string
  /** Says nothing to Postgres by itself, but goes on working. */
  mute = false
  /** Killed: whatever it still has on its way is nobody's. */
  gone = false

  constructor(fleet: StagedFleet, books: Books, nodeId: string) {
    this.#fleet = fleet
    this.#books = books
    this.nodeId = nodeId
    this.#writer = new EventWriter(fleet.context, new AbortController().signal)
  }

  /** A job, from the queue to the claimed run. */
  async take(job: RunJob): Promise<void> {
    await this.#claim(job, () => startSlot(this.#fleet.context, job, this.nodeId))
  }

  async #claim(job: RunJob, start: () => Promise<'started' | 'dropped'>): Promise<void> {
    const key = `${job.run_id}-${job.admission}`
    if (this.claiming.has(key)) return
    this.claiming.set(key, job)
    try {
      if ((await start()) === 'dropped') return
      const verdict = await this.#fleet.holder.claim(job, this.nodeId)
      if (verdict.verdict !== 'claimed' && verdict.verdict !== 'mine') return
      const owner = this.#books.owners.get(keyOf(verdict.run))
      if (owner !== undefined && owner !== this)
        this.#books.faults.push(`${keyOf(verdict.run)} was given to two workers`)
      this.#books.owners.set(keyOf(verdict.run), this)
      if (!this.gone) this.held.set(keyOf(verdict.run), verdict.run)
    } finally {
      this.claiming.delete(key)
    }
  }

  async write(run: ClaimedRun, text: string): Promise<void> {
    const { fenced } = await this.#writer.write(run.run_id, run.generation, [
      { type: 'agent.log', data: { text } },
      { type: 'agent.delta', data: { text } },
    ])
    if (fenced) this.held.delete(keyOf(run))
  }

  async finish(run: ClaimedRun, outcome: AttemptOutcome): Promise<void> {
    if (!this.held.has(keyOf(run))) return
    const { nodeId } = this
    const { outcome: answer, next } = await this.#fleet.end(run, outcome, {
      nodeId,
      pool: run.policy.runtime_type,
    })
    if (answer === 'finished') this.#books.ends.push({ runId: run.run_id, generation: run.generation })
    this.held.delete(keyOf(run))
    if (next !== null && this.nodeId === nodeId) await this.#claim(next, async () => 'started')
  }

  /** One beat and what follows from its answer; a worker that is dead drops everything and comes back as another node. */
  async beat(): Promise<void> {
    if (this.gone || this.mute) return
    const held = [...this.held.values()]
    const answer = await this.#fleet.beat(this.nodeId, { held, claiming: [...this.claiming.values()] })
    if (!answer.alive) {
      this.held.clear()
      this.nodeId = await this.#fleet.node(SLOTS)
      return
    }
    for (const pair of answer.lost) this.held.delete(`${pair.runId}/${pair.generation}`)
    for (const pair of answer.cancel) {
      const run = this.held.get(`${pair.runId}/${pair.generation}`)
      if (run !== undefined) await this.finish(run, { kind: 'cancelled', reason: 'asked', exitCode: null })
    }
  }
}

export const SLOTS = 2

const keyOf = (run: ClaimedRun): string => `${run.run_id}/${run.generation}`
