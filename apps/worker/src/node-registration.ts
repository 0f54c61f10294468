import { hostname } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import type { NodePools } from '@muster/contracts'
import { newId } from '@muster/core'
import { type EngineContext, refreshCapacities } from '@muster/engine'
import { disconnectNode, drainNode, registerNode, setNodePools } from '@muster/store'

export type NodeFacts = {
  readonly hostIdentity: string
  readonly address: string | null
  /** The slots at this moment. */
  readonly pools: () => NodePools
  readonly metadata: Readonly<Record<string, string>>
  readonly version: string
}

const RETRY_MS = 500

/** The node that this process is: a new id at every registration, none while the last one is dead. */
export class NodeRegistration {
  readonly #context: EngineContext
  readonly #facts: NodeFacts
  #id: string | null = null
  #registering: Promise<string> | null = null

  constructor(context: EngineContext, facts: NodeFacts) {
    this.#context = context
    this.#facts = facts
  }

  get id(): string | null {
    return this.#id
  }

  /** Forgets an id that is dead; false when another one took its place already. */
  lose(nodeId: string): boolean {
    if (this.#id !== nodeId) return false
    this.#id = null
    return true
  }

  /** Registers under a new id, trying until Postgres takes it, and tells the gate of the slots. */
  register(): Promise<string> {
    this.#registering ??= this.#register().finally(() => {
      this.#registering = null
    })
    return this.#registering
  }

  /** Offers no slot any more, so that nothing is admitted for this node; what it holds it keeps. */
  async drain(): Promise<void> {
    const id = this.#id
    if (id === null) return
    await drainNode(this.#context.database.pool, id)
    await refreshCapacities(this.#context)
  }

  /** Tells of the slots as they are now. */
  async tellPools(): Promise<void> {
    const id = this.#id
    if (id === null) return
    await setNodePools(this.#context.database.pool, id, this.#facts.pools())
    await refreshCapacities(this.#context)
  }

  /** Leaves in order. */
  async leave(): Promise<void> {
    const id = this.#id
    this.#id = null
    if (id !== null) await disconnectNode(this.#context.database.pool, id)
    await refreshCapacities(this.#context)
  }

  async #register(): Promise<string> {
    for (;;) {
      const id = newId('node')
      try {
        await registerNode(this.#context.database.pool, {
          id,
          host: hostname(),
          pid: process.pid,
          labels: {},
          ...this.#facts,
          pools: this.#facts.pools(),
        })
        this.#id = id
        await refreshCapacities(this.#context).catch((error: unknown) => {
          this.#context.log.warn({ err: error }, 'the gate was not told of the new slots; the next tick tells it')
        })
        return id
      } catch (error) {
        this.#context.log.warn({ err: error }, 'the node could not be registered; trying again')
        await delay(RETRY_MS)
      }
    }
  }
}
