import type { NodePools } from '@muster/contracts'
import type { Logger } from '@muster/runtime'
import type { Sandbox } from '@muster/sandbox'

export type PoolHealthParts = {
  /** What the node serves while all is well. */
  readonly pools: NodePools
  readonly sandboxes: ReadonlyMap<string, Pick<Sandbox, 'probe'>>
  readonly logger: Pick<Logger, 'error' | 'info'>
  /** Other pools are served from now on. */
  readonly onChange: () => void
  /** How long a pool that cannot be served is left alone before it is tried again. */
  readonly tryAgainMs?: number
}

const TRY_AGAIN_MS = 5000

/**
 * The pools that this node can serve at this moment. Where a sandbox did not begin, one is tried that always does: if that fails too, the
 * node is at fault and not the run, and takes no more of that pool until a trial succeeds. A node that fails everything at once would
 * otherwise always have a free slot, and take all that the healthy ones could have run.
 */
export class PoolHealth {
  readonly #parts: PoolHealthParts
  readonly #faults = new Map<string, string>()
  readonly #trials = new Map<string, Promise<string | null>>()
  readonly #timers = new Set<NodeJS.Timeout>()
  #stopped = false

  constructor(parts: PoolHealthParts) {
    this.#parts = parts
  }

  /** Why pools cannot be served, by name. */
  get faults(): ReadonlyMap<string, string> {
    return this.#faults
  }

  /** The slots of the pools that can be served. */
  get serving(): NodePools {
    return Object.fromEntries(Object.entries(this.#parts.pools).filter(([pool]) => !this.#faults.has(pool)))
  }

  /** Why no sandbox of the pool begins here; null when one did just now. */
  async faultOf(pool: string): Promise<string | null> {
    const known = this.#faults.get(pool)
    if (known !== undefined) return known
    const fault = await this.#try(pool)
    if (fault !== null && !this.#faults.has(pool) && !this.#stopped) this.#close(pool, fault)
    return fault
  }

  /** Tries nothing any more; what is under way changes nothing. */
  stop(): void {
    this.#stopped = true
    for (const timer of this.#timers) clearTimeout(timer)
  }

  #close(pool: string, fault: string): void {
    this.#faults.set(pool, fault)
    this.#parts.logger.error({ pool, reason: fault }, 'this node cannot serve the pool for now')
    this.#parts.onChange()
    this.#tryLater(pool)
  }

  #tryLater(pool: string): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      void this.#try(pool).then((fault) => {
        if (this.#stopped) return
        if (fault !== null) return this.#tryLater(pool)
        this.#faults.delete(pool)
        this.#parts.logger.info({ pool }, 'serving the pool again')
        this.#parts.onChange()
      })
    }, this.#parts.tryAgainMs ?? TRY_AGAIN_MS)
    this.#timers.add(timer)
  }

  /** One trial at a time, whoever asks. */
  #try(pool: string): Promise<string | null> {
    const trial = this.#trials.get(pool) ?? this.#trialOf(pool).finally(() => this.#trials.delete(pool))
    this.#trials.set(pool, trial)
    return trial
  }

  async #trialOf(pool: string): Promise<string | null> {
    const sandbox = this.#parts.sandboxes.get(pool)
    if (sandbox === undefined) return `this node has no ${pool}`
    try {
      const probe = await sandbox.probe()
      return probe.kind === 'unusable' ? probe.reason : null
    } catch (error) {
      return error instanceof Error ? error.message : String(error)
    }
  }
}
