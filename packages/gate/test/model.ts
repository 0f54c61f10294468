import { POOLS, type Pool } from '@muster/contracts'
import { type Admission, admissionOf, epochOf } from '@muster/core'
import type { Admitted, GateConfig, GateHolding, GateLoad, GateOffer, GatePlace, PoolCapacities } from '../src/index.ts'
import { nodeId } from '../src/node-id.ts'

type Settings = { limit: number | null; weight: number; paused: boolean; version: number }
/* What a node is in one pool. */
type Standing = { used: number; tag: number; wasEligible: boolean; wasLiving: boolean }
type Node = {
  id: string
  parent: string
  pools: Record<Pool, Standing>
  at: number
  waiting: number
  due: number
  place: GatePlace | null
}
type Run = {
  id: string
  state: 'due' | 'parked' | 'reserved' | 'started'
  classId: string
  score: number
  notBefore: number
  admission: Admission
  node: string
  since: number
}

const RESERVED_MS = 3000
const ROOT = '*'
const nowhere = (): Standing => ({ used: 0, tag: 0, wasEligible: false, wasLiving: false })
export const usedOf = ({ pools }: Node): number => POOLS.reduce((sum, pool) => sum + pools[pool].used, 0)
const unset: Settings = { limit: null, weight: 1, paused: false, version: -1 }
const byKey =
  <T>(...keys: ((item: T) => number | string)[]) =>
  (a: T, b: T): number => {
    for (const key of keys) {
      const [x, y] = [key(a), key(b)]
      if (x !== y) return x < y ? -1 : 1
    }
    return 0
  }

/** The gate's choosing rule over plain maps: everything that can be derived is derived anew, nothing is kept sorted. */
export class GateModel {
  now = 0
  epoch = 0
  counter = 0
  nodes = new Map<string, Node>()
  runs = new Map<string, Run>()
  config = new Map<string, Settings>()
  capacities: PoolCapacities = {}
  private passBegan = 0
  private touched = new Set<string>()

  settings = (id: string): Settings => this.config.get(id) ?? unset
  children = (parent: string): Node[] => [...this.nodes.values()].filter((one) => one.parent === parent)
  used = (pool: Pool): number =>
    [...this.runs.values()].filter(
      (one) => (one.state === 'reserved' || one.state === 'started') && this.poolOf(one) === pool,
    ).length
  poolOf = (one: Run): Pool => this.classOf(one.classId).pool
  private placeMemory = new Map<string, GatePlace>()
  classOf = (id: string): GatePlace => {
    const found = this.placeMemory.get(id)
    if (found === undefined) throw new Error(`no class ${id}`)
    return found
  }

  closed(one: Node): boolean {
    const { limit, paused } = this.settings(one.id)
    return paused || (limit !== null && usedOf(one) >= limit)
  }
  eligible(one: Node, pool: Pool): boolean {
    if (this.closed(one)) return false
    if (one.place !== null) return one.place.pool === pool && one.waiting > 0
    return this.children(one.id).some((child) => this.eligible(child, pool))
  }
  private leastLiving(one: Node, pool: Pool): number | null {
    const tags = this.children(one.parent)
      .filter((other) => other !== one && (other.pools[pool].wasEligible || other.pools[pool].used > 0))
      .map((other) => other.pools[pool].tag)
    return tags.length === 0 ? null : Math.min(...tags)
  }
  private node(id: string, parent: string, place: GatePlace | null): Node {
    const known = this.nodes.get(id)
    if (known !== undefined) return known
    const pools = { bubblewrap: nowhere(), runc: nowhere(), gvisor: nowhere(), none: nowhere() }
    const made = { id, parent, pools, at: this.now * 1000, waiting: 0, due: 0, place }
    this.nodes.set(id, made)
    return made
  }
  private path(place: GatePlace): Node[] {
    const workspace = nodeId({ kind: 'workspace', workspaceId: place.workspaceId })
    const agent = nodeId({ kind: 'agent', agentId: place.agentId })
    const lane = nodeId({ kind: 'lane', agentId: place.agentId, lane: place.lane })
    this.placeMemory.set(place.classKey, place)
    return [
      this.node(place.classKey, lane, place),
      this.node(lane, agent, null),
      this.node(agent, workspace, null),
      this.node(workspace, ROOT, null),
    ]
  }
  private accrue(one: Node): void {
    const elapsed = Math.min(this.now * 1000 - one.at, 60_000_000)
    for (const standing of Object.values(one.pools))
      if (standing.used > 0 && elapsed > 0)
        standing.tag += Math.floor((standing.used * elapsed * 1000) / this.settings(one.id).weight + 0.5)
    one.at = this.now * 1000
    this.touched.add(one.id)
  }
  private refresh(one: Node): void {
    for (const pool of POOLS) {
      const standing = one.pools[pool]
      const eligible = this.eligible(one, pool)
      const living = eligible || standing.used > 0
      if (living && !standing.wasLiving) standing.tag = Math.max(standing.tag, this.leastLiving(one, pool) ?? 0)
      standing.wasEligible = eligible
      standing.wasLiving = living
    }
    this.touched.add(one.id)
  }
  private shift(place: GatePlace, used: number, waiting: number): void {
    for (const one of this.path(place)) {
      if (used !== 0) this.accrue(one)
      one.pools[place.pool].used += used
      one.waiting += waiting
      this.refresh(one)
    }
  }
  idle = (one: Node): boolean => usedOf(one) === 0 && one.waiting === 0 && one.due === 0
  private settle(ids: Iterable<string>): void {
    for (const id of ids) {
      const one = this.nodes.get(id)
      if (one === undefined || !this.idle(one)) continue
      const isAhead = (pool: Pool) => one.pools[pool].tag > (this.leastLiving(one, pool) ?? Number.POSITIVE_INFINITY)
      if (!POOLS.some(isAhead)) this.nodes.delete(id)
    }
  }
  private park(one: Run): void {
    one.state = 'parked'
    this.shift(this.classOf(one.classId), 0, 1)
  }
  private offerOne(offer: GateOffer): void {
    if (this.runs.has(offer.runId)) return
    this.placeMemory.set(offer.classKey, offer)
    const score = (offer.front ? -1 : 100 - offer.priority) * 2 ** 44 + offer.order
    const notBefore = offer.notBeforeMs ?? 0
    const made: Run = {
      id: offer.runId,
      state: 'due',
      classId: offer.classKey,
      score,
      notBefore,
      admission: 0,
      node: '',
      since: 0,
    }
    this.runs.set(offer.runId, made)
    if (notBefore <= this.now) this.park(made)
    else {
      const lane = nodeId({ kind: 'lane', agentId: offer.agentId, lane: offer.lane })
      this.node(offer.classKey, lane, offer).due += 1
      this.touched.add(offer.classKey)
    }
  }
  private sendBack(one: Run): void {
    one.state = 'parked'
    one.admission = 0
    this.shift(this.classOf(one.classId), -1, 1)
  }
  private forget(one: Run): void {
    this.runs.delete(one.id)
    const place = this.classOf(one.classId)
    if (one.state === 'parked') this.shift(place, 0, -1)
    else if (one.state === 'due') this.endDue(one.classId)
    else this.shift(place, -1, 0)
  }
  private endDue(classId: string): void {
    const one = this.nodes.get(classId)
    if (one === undefined) throw new Error(`due without a class: ${classId}`)
    one.due -= 1
    this.touched.add(classId)
  }
  private hold(holding: GateHolding): void {
    this.placeMemory.set(holding.classKey, holding)
    this.runs.set(holding.runId, {
      id: holding.runId,
      state: 'started',
      classId: holding.classKey,
      score: 0,
      notBefore: 0,
      admission: holding.admission,
      node: holding.nodeId,
      since: this.now,
    })
    this.shift(holding, 1, 0)
  }
  private promote(): number {
    const due = [...this.runs.values()].filter((one) => one.state === 'due' && one.notBefore <= this.now)
    due.sort(
      byKey<Run>(
        (one) => one.notBefore,
        (one) => one.id,
      ),
    )
    for (const one of due) {
      this.endDue(one.classId)
      this.park(one)
    }
    return due.length
  }
  private choose(parent: string, pool: Pool): Node | undefined {
    return this.children(parent)
      .filter((one) => this.eligible(one, pool))
      .sort(
        byKey<Node>(
          (one) => Math.floor(usedOf(one) / this.settings(one.id).weight + 1e-9),
          (one) => one.pools[pool].tag,
          (one) => one.id,
        ),
      )[0]
  }
  private admitOne(pool: Pool): Admitted | null {
    if (this.used(pool) >= (this.capacities[pool] ?? 0)) return null
    let chosen = this.choose(ROOT, pool)
    while (chosen !== undefined && chosen.place === null) chosen = this.choose(chosen.id, pool)
    const place = chosen?.place
    if (chosen === undefined || place === null || place === undefined) return null
    const classId = chosen.id
    const waiting = [...this.runs.values()].filter((one) => one.state === 'parked' && one.classId === classId)
    const head = waiting.sort(
      byKey<Run>(
        (one) => one.score,
        (one) => one.id,
      ),
    )[0]
    if (head === undefined) throw new Error('an eligible class without runs')
    this.counter += 1
    Object.assign(head, { state: 'reserved', admission: admissionOf(this.epoch, this.counter), since: this.now })
    this.shift(place, 1, -1)
    return { runId: head.id, admission: head.admission, pool }
  }
  private admit(): Admitted[] {
    this.promote()
    const admitted: Admitted[] = []
    for (let more = true; more; ) {
      more = false
      for (const pool of POOLS) {
        const given = this.admitOne(pool)
        if (given !== null) {
          admitted.push(given)
          more = true
        }
      }
    }
    this.finish()
    return admitted
  }
  private finish(): void {
    this.settle(this.touched)
    this.touched.clear()
  }

  offer(offers: readonly GateOffer[]): Admitted[] {
    for (const offer of offers) this.offerOne(offer)
    return this.admit()
  }
  withdraw(ids: readonly string[]): Admitted[] {
    for (const id of ids) {
      const one = this.runs.get(id)
      if (one !== undefined && one.state !== 'started') this.forget(one)
    }
    return this.admit()
  }
  start(id: string, admission: Admission, node: string): 'started' | 'refused' {
    const one = this.runs.get(id)
    if (one === undefined || one.admission !== admission) return 'refused'
    if (one.state === 'started') return one.node === node ? 'started' : 'refused'
    if (this.path(this.classOf(one.classId)).some((on) => this.settings(on.id).paused)) {
      this.sendBack(one)
      this.finish()
      return 'refused'
    }
    Object.assign(one, { state: 'started', node, since: this.now })
    return 'started'
  }
  release(id: string, admission: Admission, offers: readonly GateOffer[]): Admitted[] {
    const one = this.runs.get(id)
    if (one !== undefined && one.admission === admission) this.forget(one)
    return this.offer(offers)
  }
  sweep(): Admitted[] {
    const late = [...this.runs.values()].filter(
      (one) => one.state === 'reserved' && one.since + RESERVED_MS <= this.now,
    )
    for (const one of late.sort(
      byKey<Run>(
        (run) => run.since,
        (run) => run.id,
      ),
    ))
      this.sendBack(one)
    this.promote()
    if (this.now - this.passBegan >= 1000) {
      this.passBegan = this.now
      for (const one of this.nodes.values()) if (usedOf(one) > 0) this.accrue(one)
    }
    const admitted = this.admit()
    this.settle([...this.nodes.keys()])
    return admitted
  }
  configure(entries: readonly GateConfig[]): Admitted[] {
    for (const { node, limit, weight, paused, version } of entries) {
      const id = nodeId(node)
      if (version <= this.settings(id).version) continue
      const one = this.nodes.get(id)
      if (one !== undefined) this.accrue(one)
      this.config.set(id, { limit, weight, paused, version })
      for (let at = one; at !== undefined; at = this.nodes.get(at.parent)) this.refresh(at)
    }
    return this.admit()
  }
  setCapacities(capacities: PoolCapacities): Admitted[] {
    this.capacities = capacities
    return this.admit()
  }
  restore(holdings: readonly GateHolding[]): Admitted[] {
    for (const holding of holdings) {
      const one = this.runs.get(holding.runId)
      if (epochOf(holding.admission) > this.epoch || (one !== undefined && one.admission >= holding.admission)) continue
      if (epochOf(holding.admission) === this.epoch) this.counter = Math.max(this.counter, holding.admission % 2 ** 32)
      if (one !== undefined) this.forget(one)
      this.hold(holding)
    }
    return this.admit()
  }
  load(load: GateLoad): 'loaded' | 'refused' {
    if (load.epoch <= this.epoch) return 'refused'
    this.epoch = load.epoch
    this.counter = 0
    this.passBegan = 0
    this.nodes.clear()
    this.runs.clear()
    this.config = new Map(load.config.map(({ node, ...rest }) => [nodeId(node), rest]))
    for (const holding of load.holdings) this.hold(holding)
    this.capacities = load.capacities
    this.finish()
    return 'loaded'
  }
}
