import type { Policy, Pool, ResourceName } from '@muster/contracts'
import { heldResources, type Queryable } from '@muster/store'

type Pools = ReadonlyMap<Pool, readonly ReadonlySet<ResourceName>[]>

const FRESH_MS = 1_000

/** What the fleet's nodes can bound, read at most once a second, and only for policies that name a resource. */
export class FleetHolds {
  readonly #on: Queryable
  #reading: { readonly at: number; readonly pools: Promise<Pools> } | null = null

  constructor(on: Queryable) {
    this.#on = on
  }

  /**
   * What the node that holds most of what the policy names can bound; null when it names nothing, or when no node of its
   * pool lives: then it waits for one.
   */
  async for(policy: Policy): Promise<ReadonlySet<ResourceName> | null> {
    const named = policy.named_resources ?? []
    if (named.length === 0) return null
    const kinds = (await this.#read()).get(policy.runtime_type) ?? []
    const count = (kind: ReadonlySet<ResourceName>) => named.filter((name) => kind.has(name)).length
    return kinds.reduce<ReadonlySet<ResourceName> | null>(
      (best, kind) => (best === null || count(kind) > count(best) ? kind : best),
      null,
    )
  }

  #read(): Promise<Pools> {
    const now = performance.now()
    if (this.#reading !== null && now - this.#reading.at < FRESH_MS) return this.#reading.pools
    const reading = { at: now, pools: heldResources(this.#on) }
    this.#reading = reading
    reading.pools.catch(() => {
      if (this.#reading === reading) this.#reading = null
    })
    return reading.pools
  }
}
