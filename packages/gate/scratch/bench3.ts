import { createGate } from '../src/index.ts'
import { startRedis } from '../test/redis-server.ts'
import { offerOf, place, warm } from '../test/fleet.ts'
const r = await startRedis()
const cpu = async () => { const i = await r.client.info('cpu'); return (Number(/used_cpu_user_main_thread:([\d.]+)/.exec(i)![1]) + Number(/used_cpu_sys_main_thread:([\d.]+)/.exec(i)![1])) * 1e6 }
for (const classes of [10, 10_000]) {
  const g = createGate({ redisUrl: r.url, fleet: `b${classes}`, timeoutsMs: { call: 60000, worker: 60000 } })
  await g.connected(2000)
  await g.load({ epoch: 1, config: [], holdings: [], capacities: { none: 0 } })
  const N = 40_000, size = 64
  const offers = Array.from({ length: N }, (_, k) => offerOf(place(`w${k % Math.min(classes, 1000)}`, `c${k % classes}`), `r${classes}-${k}`))
  let c = await cpu(), t = performance.now(), n = process.cpuUsage()
  const report = async (what: string, ops: number) => { const d = await cpu() - c; const m = process.cpuUsage(n); console.log(classes, what, 'redis us/op', (d / ops).toFixed(1), 'node us/op', ((m.user + m.system) / ops).toFixed(1), 'ops/s', Math.round(ops / (performance.now() - t) * 1000)); c = await cpu(); t = performance.now(); n = process.cpuUsage() }
  for (let k = 0; k < N; k += size * 4) await Promise.all([0, 1, 2, 3].map((j) => g.offer(offers.slice(k + j * size, k + j * size + size))))
  await report('offer(64)', N)
  let held = [...warm(await g.setCapacities({ none: 64 })).admitted]
  await report('fill', 64)
  let done = 0
  await Promise.all(held.map(async (first) => { let mine: typeof first | undefined = first; while (mine && done < 15000) { done++; mine = warm(await g.release([mine], [])).admitted[0] } }))
  await report('release+next', done)
  held = [...warm(await g.setCapacities({ none: 512 })).admitted]
  await report('fill', held.length)
  let total = 0
  while (held.length && total < 10000) { const parts = []; for (let k = 0; k < held.length; k += 16) parts.push(held.slice(k, k + 16)); total += held.length; held = (await Promise.all(parts.map((p) => g.release(p, [])))).flatMap((x) => [...warm(x).admitted]) }
  await report('release(16)+next', total)
  await g.close()
}
await r.stop()
