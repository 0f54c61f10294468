import { createGate } from '/work/main/packages/gate/src/index.ts'
import { startRedis } from '/work/main/packages/gate/test/redis-server.ts'
import { offerOf, place, run, node, warm, capacities } from '/work/main/packages/gate/test/fleet.ts'
const r = await startRedis()
const g = createGate({ redisUrl: r.url, onError: (e, s) => console.log('ERR', s, e.message) })
console.log(await g.connected(2000))
console.log(await g.next(), await g.state())
console.log(await g.load({ epoch: 1, config: [], holdings: [], capacities: capacities(1) }))
const a = warm(await g.offer([offerOf(place('a'), 1), offerOf(place('a'), 2), offerOf(place('b'), 3)]))
console.log(a.admitted, await g.explain(run(2)), await g.counts(), await g.lookup([run(1), run(2), run(9)]))
console.log(await g.start(run(1), a.admitted[0]!.admission, node('n')))
console.log(await g.audit(null), await g.recount())
console.log(await g.release([{ runId: run(1), admission: a.admitted[0]!.admission }], []))
console.log(await g.sweep())
console.log((await r.client.keys('*')))
await g.close(); await r.stop()
