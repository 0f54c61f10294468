import { createGate } from '../src/index.ts'
import { startRedis } from '../test/redis-server.ts'
import { offerOf, place, warm, node } from '../test/fleet.ts'
const r = await startRedis()
await r.client.config('SET','appendonly','no')
for (const classes of [10, 10_000]) {
  const g = createGate({ redisUrl: r.url, fleet: `b${classes}`, timeoutsMs: { call: 60000, worker: 60000 } })
  await g.connected(2000)
  await g.load({ epoch: 1, config: [], holdings: [], capacities: { none: 0 } })
  const N = 40_000
  const offers = Array.from({ length: N }, (_, k) => offerOf(place(`w${k % Math.min(classes, 1000)}`, `c${k % classes}`), `r${classes}-${k}`))
  let t = performance.now()
  const size = 64
  const batches = []
  for (let k = 0; k < N; k += size) batches.push(offers.slice(k, k + size))
  let at = 0
  await Promise.all(Array.from({ length: 4 }, async () => { while (at < batches.length) { const b = batches[at++]!; await g.offer(b) } }))
  const offersPerS = N / ((performance.now() - t) / 1000)
  let held = [...warm(await g.setCapacities({ none: 64 })).admitted]
  t = performance.now()
  let done = 0
  const M = 20_000
  await Promise.all(held.map(async (first) => {
    let mine: typeof first | undefined = first
    while (mine && done < M) {
      done++
      const got: readonly (typeof first)[] = warm(await g.release([mine], [])).admitted
      mine = got[0]
    }
  }))
  const relPerS = done / ((performance.now() - t) / 1000)
  // batches of 16
  held = []
  const w = warm(await g.setCapacities({ none: 1024 })).admitted
  t = performance.now()
  let batch = [...w].slice(0, 512), total = 0
  while (batch.length && total < 10000) { const parts = []; for (let k = 0; k < batch.length; k += 16) parts.push(batch.slice(k, k + 16)); total += batch.length; batch = (await Promise.all(parts.map((p) => g.release(p, [])))).flatMap((x) => [...warm(x).admitted]) }
  const relBatch = total / ((performance.now() - t) / 1000)
  t = performance.now()
  const s = []
  const st = (await r.client.info('commandstats')).split('\n').filter((l) => /evalsha|\beval\b|cmdstat_(hmget|hset|zadd|zrem|zrange|zcard|hgetall)/.test(l)).map((l)=>l.trim()); console.log(st); await r.client.config('RESETSTAT');
  console.log({ classes, offersPerS: Math.round(offersPerS), releaseNextPerS: Math.round(relPerS), releaseBatched16PerS: Math.round(relBatch), recount: await g.recount() })
  await g.close()
}
await r.stop()
