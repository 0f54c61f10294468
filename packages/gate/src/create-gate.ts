import { runIdSchema } from '@muster/contracts'
import { type Breaker, createBreaker } from './breaker.ts'
import { createChannels } from './channels.ts'
import { withDeadline } from './deadline.ts'
import type { Gate } from './gate.ts'
import type { GateOptions } from './gate-options.ts'
import { consumeJobs } from './job-consumer.ts'
import { openJobQueues } from './job-queues.ts'
import { createLiveEvents } from './live-events.ts'
import { removeOldEpochs, scanRunIds } from './old-epochs.ts'
import { failFast, openConnection } from './redis-connection.ts'
import { createScriptCaller, gateError } from './script-caller.ts'
import { audit } from './scripts/audit.ts'
import { classStats } from './scripts/class-stats.ts'
import { configure } from './scripts/configure.ts'
import { counts } from './scripts/counts.ts'
import { demand } from './scripts/demand.ts'
import { explain } from './scripts/explain.ts'
import { load } from './scripts/load.ts'
import { lookup } from './scripts/lookup.ts'
import { next } from './scripts/next.ts'
import { offer } from './scripts/offer.ts'
import { recount } from './scripts/recount.ts'
import { release } from './scripts/release.ts'
import { restore } from './scripts/restore.ts'
import { setCapacities } from './scripts/set-capacities.ts'
import { start } from './scripts/start.ts'
import { state } from './scripts/state.ts'
import { sweep } from './scripts/sweep.ts'
import { unknown } from './scripts/unknown.ts'
import { withdraw } from './scripts/withdraw.ts'

const CALL_MS = 250
const WORKER_MS = 1000
const LOAD_MS = 10_000
const CLOSE_MS = 1000
const AUDIENCE_MS = 3000

/** Opens the gate of a fleet. Connects in the background (see `connected`); until then every call rejects with `GateUnavailable`. */
export const createGate = (options: GateOptions): Gate => {
  const { redisUrl, fleet = 'muster', timeoutsMs = {}, onError = () => {} } = options
  if (!/^[a-z0-9-]{1,32}$/.test(fleet)) throw new RangeError(`not a fleet name: ${fleet}`)
  const callMs = timeoutsMs.call ?? CALL_MS
  const workerMs = timeoutsMs.worker ?? WORKER_MS
  const loadMs = timeoutsMs.load ?? LOAD_MS
  const audienceMs = timeoutsMs.audience ?? AUDIENCE_MS
  const fleetKey = `{${fleet}}`
  const jobsPrefix = `${fleetKey}:jobs`
  const report = (source: string) => (error: Error) => onError(error, source)

  const silentMs = Math.max(callMs, workerMs) + 1000
  const scripts = openConnection(redisUrl, failFast(silentMs), report('scripts'))
  const streams = openConnection(redisUrl, failFast(silentMs), report('live'))
  const viewer = openConnection(redisUrl, failFast(silentMs), report('queues'))
  const loader = openConnection(redisUrl, failFast(loadMs + 1000), report('load'))

  const metaKey = `${fleetKey}:gate`
  const unguarded: Breaker['guard'] = (_, work) => work()
  const probe = createScriptCaller(scripts, unguarded, metaKey, options.now)
  const scriptsBreaker = createBreaker(() => state(probe, callMs))
  const streamsBreaker = createBreaker(async () => {
    streams.runId()
    await withDeadline(streams.redis.ping(), callMs, 'probe')
  })
  const call = createScriptCaller(scripts, scriptsBreaker.guard, metaKey, options.now)
  // Slow calls say nothing about the quick ones: they pass the breaker by.
  const slowCall = createScriptCaller(loader, unguarded, metaKey, options.now)

  const queues = openJobQueues(viewer, jobsPrefix, report('queues'))
  const channels = createChannels(redisUrl, report('channels'))
  const cancelChannel = `${fleetKey}:cancel`

  const slowly = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
    try {
      return await work()
    } catch (error) {
      throw gateError(error, what)
    }
  }
  const guarded = <T>({ guard }: Breaker, what: string, work: () => Promise<T>): Promise<T> =>
    guard(what, () => slowly(what, () => withDeadline(work(), callMs, what)))

  const sweepOldEpochs = () =>
    slowly('sweepOldEpochs', async () => {
      const { epoch } = await state(slowCall, callMs)
      return epoch === null ? 0 : await removeOldEpochs(loader.redis, fleetKey, epoch)
    })

  return {
    connected: async (timeoutMs) => {
      const all = [scripts, streams, viewer, loader].map((connection) => connection.connected(timeoutMs))
      return (await Promise.all(all)).every(Boolean)
    },

    breakers: () => ({
      scripts: stateOf(scriptsBreaker),
      live: stateOf(streamsBreaker),
    }),

    offer: (offers) => offer(call, callMs, offers),
    withdraw: (runIds) => withdraw(call, callMs, runIds),
    next: () => next(call, callMs),
    start: (starts, nodeId) => start(call, workerMs, starts, nodeId),
    release: (releases, offers, keep = null) => release(call, workerMs, releases, offers, keep),
    sweep: () => sweep(call, callMs),
    configure: (entries) => configure(call, callMs, entries),
    setCapacities: (capacities) => setCapacities(call, callMs, capacities),
    restore: (holdings) => restore(call, workerMs, holdings),
    load: async (what) => {
      const outcome = await load(slowCall, loadMs, what)
      if (outcome === 'loaded') sweepOldEpochs().catch(report('load'))
      return outcome
    },

    state: () => state(call, callMs),
    explain: (runId) => explain(call, callMs, runId),
    lookup: (runIds) => lookup(call, callMs, runIds),
    unknown: (runIds) => unknown(call, callMs, runIds),
    classStats: (classKeys) => classStats(call, callMs, classKeys),
    counts: () => counts(call, callMs),
    demand: () => demand(call, callMs),
    audit: (cursor) => audit(call, callMs, cursor),
    scanRuns: async (cursor) => {
      const { warm, epoch } = await state(call, callMs)
      if (!warm || epoch === null) return { kind: 'cold' }
      const page = await guarded(scriptsBreaker, 'scanRuns', () => scanRunIds(scripts.redis, fleetKey, epoch, cursor))
      return { kind: 'warm', ...page }
    },
    recount: () => recount(slowCall, loadMs),
    sweepOldEpochs,

    queues: queues.all,
    consume: (pool, how) => consumeJobs(redisUrl, jobsPrefix, pool, how, report(`consumer ${pool}`)),

    live: createLiveEvents(streams, channels, streamsBreaker.guard, fleetKey, { callMs, audienceMs }),
    cancelWake: async (runId) => {
      await guarded(scriptsBreaker, 'cancelWake', () => scripts.redis.publish(cancelChannel, runIdSchema.parse(runId)))
    },
    onCancel: (callback) =>
      channels.subscribe(cancelChannel, (runId) => {
        if (runId !== '') callback(runId)
      }),

    close: async () => {
      for (const breaker of [scriptsBreaker, streamsBreaker]) breaker.stop()
      channels.close()
      await withDeadline(queues.close(), CLOSE_MS, 'close').catch(report('queues'))
      for (const connection of [scripts, streams, viewer, loader]) connection.close()
    },
  }
}

const stateOf = (breaker: Breaker): 'closed' | 'open' => (breaker.isOpen() ? 'open' : 'closed')
