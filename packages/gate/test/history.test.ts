import { POOLS, type Pool } from '@muster/contracts'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { createGate, type Gate, type GateConfig, type GateNode, type GateOffer, type GatePlace } from '../src/index.ts'
import { agent, node, offerOf, place, run, startOne, warm } from './fleet.ts'
import { GateModel, usedOf } from './model.ts'
import { type RedisServer, startRedis } from './redis-server.ts'

/* One step of a history; its numbers are read modulo what there is to choose from. */
const step = fc.record({
  kind: fc.constantFrom(
    ...(['offer', 'offer', 'offer', 'start', 'start', 'release', 'release', 'withdraw', 'sweep', 'sweep'] as const),
    ...(['configure', 'configure', 'capacity', 'next', 'stale', 'restore', 'rebuild'] as const),
  ),
  a: fc.nat(1000),
  b: fc.nat(1000),
  c: fc.nat(1000),
  ms: fc.constantFrom(0, 0, 1, 17, 250, 999, 1000, 3000, 7001),
})
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

const pick = <T>(list: readonly T[], index: number): T => {
  const found = list[index % list.length]
  if (found === undefined) throw new Error('nothing to pick from')
  return found
}

/* 3 workspaces, 2 agents each, 2 lanes each, 2 classes each; pools alternate so that every inner node serves several. */
const places: GatePlace[] = Array.from({ length: 24 }, (_, k) => {
  const [w, a, l] = [k % 3, Math.floor(k / 3) % 2, Math.floor(k / 6) % 2]
  return place(`w${w}`, `c${k}`, {
    agentId: agent(`w${w}a${a}`),
    lane: `lane${l}`,
    pool: pick<Pool>(['bubblewrap', 'none', 'runc'], (k * 7) % 5),
    jobName: `w${w}/a${a}/lane${l}`,
  })
})
const targets: GateNode[] = places.flatMap((at): GateNode[] => [
  { kind: 'workspace', workspaceId: at.workspaceId },
  { kind: 'agent', agentId: at.agentId },
  { kind: 'lane', agentId: at.agentId, lane: at.lane },
  { kind: 'class', classKey: at.classKey },
])

let redis: RedisServer
let fleets = 0
beforeAll(async () => {
  redis = await startRedis()
})
afterAll(() => redis.stop())

/* See include/node.lua. */
const UNPACK = `return cjson.encode({ struct.unpack('>dddddddBssss${'B'.repeat(POOLS.length)}${'I4'.repeat(2 * POOLS.length)}${'d'.repeat(POOLS.length)}', redis.call('HGET', KEYS[1], ARGV[1])) })`

/* What Redis holds of the nodes, and what the model says they are. */
const working = async (fleet: string, model: GateModel) => {
  const prefix = `{${fleet}}:${model.epoch}:`
  const keys = (await redis.client.keys(`{${fleet}}:*`)).filter((key) => key.startsWith(prefix))
  const found: Record<string, unknown> = {}
  const remembered: string[] = []
  for (const key of keys) {
    const name = key.slice(prefix.length)
    if (name === 'n') {
      for (const id of await redis.client.hkeys(key)) {
        const node = z.array(z.unknown()).parse(JSON.parse(String(await redis.client.eval(UNPACK, 1, key, id))))
        const byPool = (kind: number) => node.slice(12 + kind * POOLS.length, 12 + (kind + 1) * POOLS.length)
        found[id] = { used: node[0], waiting: node[2], due: node[3], usedByPool: byPool(2), tags: byPool(3) }
      }
    }
    if (name.startsWith('e:')) {
      found[name] = (await redis.client.zrangeBuffer(key, '0', '-1'))
        .map((member) => member.subarray(8).toString())
        .sort()
    }
    if (name.startsWith('l:')) found[name] = (await redis.client.zrange(key, '0', '-1')).sort()
    if (name.startsWith('i:')) {
      remembered.push(...(await redis.client.zrange(key, '0', '-1')))
      expect(await redis.client.zscore(`${prefix}idle`, name.slice(2)), name).not.toBeNull()
    }
  }
  return { ...found, remembered: remembered.sort() }
}
const expected = (model: GateModel) => {
  const wanted: Record<string, unknown> = {}
  const add = (key: string, id: string) => {
    const list = wanted[key]
    wanted[key] = Array.isArray(list) ? [...list, id].sort() : [id]
  }
  for (const one of model.nodes.values()) {
    const standings = POOLS.map((pool) => one.pools[pool])
    wanted[one.id] = {
      used: usedOf(one),
      waiting: one.waiting,
      due: one.due,
      usedByPool: standings.map(({ used }) => used),
      tags: standings.map(({ tag }) => tag),
    }
    for (const pool of POOLS) {
      const eligible = model.eligible(one, pool)
      if (eligible) add(`e:${pool}:${one.parent}`, one.id)
      if (eligible || one.pools[pool].used > 0) add(`l:${pool}:${one.parent}`, one.id)
    }
  }
  const idle = [...model.nodes.values()].filter((one) => model.idle(one)).map((one) => one.id)
  return { ...wanted, remembered: idle.sort() }
}

class History {
  readonly model = new GateModel()
  private version = 0
  private runs = 0
  private readonly gate: Gate
  constructor(gate: Gate) {
    this.gate = gate
  }

  private offersOf({ a, b, c }: Step): GateOffer[] {
    return Array.from({ length: (c % 4) + 1 }, (_, k) =>
      offerOf(pick(places, a + k * (b % 3)), this.runs++, {
        priority: pick([50, 50, 80, 0], b + k),
        front: (b + k) % 11 === 0,
        notBeforeMs: (a + k) % 5 === 0 ? this.model.now + pick([0, 1, 400, 5000], b) : null,
      }),
    )
  }
  private known = (...states: string[]) => [...this.model.runs.values()].filter((one) => states.includes(one.state))
  private configOf({ a, b, c }: Step): GateConfig {
    this.version += 1
    return {
      node: pick(targets, a),
      limit: pick([null, null, 0, 1, 2, 3], b),
      weight: pick([1, 1, 2, 4, 0.5, 0.3, 1000], c),
      paused: (a + b + c) % 6 === 0,
      version: (a + c) % 13 === 0 ? 0 : this.version,
    }
  }

  /** Takes the step in both; answers what each admitted. */
  async take(one: Step): Promise<{ real: unknown; modelled: unknown }> {
    const { gate, model } = this
    const { a, b, c } = one
    switch (one.kind) {
      case 'offer': {
        const offers = this.offersOf(one)
        return { real: warm(await gate.offer(offers)).admitted, modelled: model.offer(offers) }
      }
      case 'start': {
        const reserved = this.known('reserved', 'started')
        if (reserved.length === 0) return { real: null, modelled: null }
        const { id, admission } = pick(reserved, a)
        const worker = node(`n${b % 2}`)
        return { real: await startOne(gate, id, admission, worker), modelled: model.start(id, admission, worker) }
      }
      case 'release':
      case 'stale': {
        const held = this.known('reserved', 'started', 'parked')
        if (held.length === 0) return { real: null, modelled: null }
        const { id, admission: current } = pick(held, a)
        const admission = one.kind === 'stale' ? current + 1 : Math.max(current, 1)
        const offers = c % 2 === 0 ? this.offersOf(one).slice(0, 1) : []
        const reply = warm(await gate.release([{ runId: id, admission }], offers))
        return { real: reply.admitted, modelled: model.release(id, admission, offers) }
      }
      case 'withdraw': {
        const ids = this.known('due', 'parked', 'reserved', 'started')
          .filter((_, k) => k % 7 === a % 7)
          .map((two) => two.id)
        return { real: warm(await gate.withdraw(ids)).admitted, modelled: model.withdraw(ids) }
      }
      case 'sweep':
        return { real: warm(await gate.sweep()).admitted, modelled: model.sweep() }
      case 'next':
        return { real: warm(await gate.next()).admitted, modelled: model.setCapacities(model.capacities) }
      case 'configure': {
        const entries = [this.configOf(one), this.configOf({ ...one, a: b, b: c, c: a })]
        return { real: warm(await gate.configure(entries)).admitted, modelled: model.configure(entries) }
      }
      case 'capacity': {
        const capacities = { bubblewrap: a % 6, none: b % 6, runc: c % 6 }
        return { real: warm(await gate.setCapacities(capacities)).admitted, modelled: model.setCapacities(capacities) }
      }
      case 'restore': {
        const known = pick(
          [...this.known('due', 'parked', 'reserved', 'started').map((two) => two.id), run(`gone${a}`)],
          b,
        )
        const at = model.runs.get(known)
        const holding = {
          ...(at === undefined ? pick(places, c) : model.classOf(at.classId)),
          runId: known,
          admission: (at?.admission ?? 0) + (a % 3) + (at?.admission ? 0 : 2 ** 32),
          nodeId: node('n9'),
        }
        return { real: warm(await gate.restore([holding])).admitted, modelled: model.restore([holding]) }
      }
      case 'rebuild': {
        const holdings = this.known('started').map((two) => ({
          ...model.classOf(two.classId),
          runId: two.id,
          admission: two.admission,
          nodeId: two.node,
        }))
        const load = {
          epoch: model.epoch + (a % 3 === 0 ? 0 : 1),
          config: [this.configOf(one)],
          holdings,
          capacities: { bubblewrap: a % 4, none: b % 4, runc: c % 4 },
        }
        return { real: await gate.load(load), modelled: model.load(load) }
      }
    }
  }
}

test('every history is answered as the plain model of the choosing rule answers it', { timeout: 600_000 }, async () => {
  const seed = Number(process.env['MUSTER_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
  console.log(`MUSTER_SEED=${seed}`)
  const property = fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 150, size: 'max' }), async (steps) => {
    const fleet = `h${++fleets}`
    let now = 1_700_000_000_000
    const gate = createGate({ redisUrl: redis.url, fleet, now: () => now, timeoutsMs: { call: 5000, worker: 5000 } })
    const history = new History(gate)
    try {
      expect(await gate.connected(5000)).toBe(true)
      history.model.now = now
      const first = { epoch: 1, config: [], holdings: [], capacities: { bubblewrap: 3, none: 2, runc: 4 } }
      expect(await gate.load(first)).toBe(history.model.load(first))
      for (const one of steps) {
        now += one.ms
        history.model.now = now
        const { real, modelled } = await history.take(one)
        expect(real, one.kind).toEqual(modelled)
        expect(await working(fleet, history.model), one.kind).toEqual(expected(history.model))
      }
      const recount = await gate.recount()
      expect(recount.kind === 'warm' && recount.miscounts.filter((one) => one.used !== one.counted)).toEqual([])
    } finally {
      await gate.close()
    }
  })
  await fc.assert(property, { seed, numRuns: process.env['MUSTER_PROVE'] ? 400 : 40 })
})
