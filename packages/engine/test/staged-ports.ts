import { type Admitted, type Gate, GateFault, type GateReply, GateUnavailable } from '@muster/gate'
import type { Database } from '@muster/store'

/**
 * What is staged at the next call of a step. `before` and `after` run other things right there; `lose`: the call never arrives (`call`), or
 * takes effect and its answer is lost (`answer`), or is given up while it is still under way (`flight`); `fault`: Redis refuses it.
 */
export type Stage = {
  readonly before?: () => Promise<unknown>
  readonly after?: () => Promise<unknown>
  readonly lose?: 'call' | 'answer' | 'flight'
  readonly fault?: true
}

/** A method of the gate as `gate.<name>`, or the name of a statement of the store. */
export type StepName = string

export type Staging = {
  /** Stages the next call of this step; further ones queue up. */
  at(step: StepName, stage: Stage): void
  /** Decides for every call that nothing is staged for. */
  always(decide: (step: StepName) => Stage | null): void
  readonly calls: StepName[]
  /** Steps that were staged and never came: a test that stages one would prove nothing. */
  readonly missed: () => StepName[]
  readonly run: <T>(step: StepName, call: () => Promise<T>) => Promise<T>
}

export function createStaging(): Staging {
  const staged = new Map<StepName, Stage[]>()
  let otherwise: (step: StepName) => Stage | null = () => null
  const calls: StepName[] = []
  return {
    calls,
    at(step, stage) {
      staged.set(step, [...(staged.get(step) ?? []), stage])
    },
    always(decide) {
      otherwise = decide
    },
    missed: () => [...staged].flatMap(([step, stages]) => (stages.length > 0 ? [step] : [])),
    async run(step, call) {
      calls.push(step)
      const stage = staged.get(step)?.shift() ?? otherwise(step)
      await stage?.before?.()
      if (stage?.fault === true) throw new GateFault(`${step}: staged`)
      if (stage?.lose === 'call') throw lost(step)
      if (stage?.lose === 'flight') {
        void call().catch(() => undefined)
        throw lost(step)
      }
      const result = await call()
      await stage?.after?.()
      if (stage?.lose === 'answer') throw lost(step)
      return result
    },
  }
}

const lost = (step: StepName): Error =>
  step.startsWith('gate.')
    ? new GateUnavailable(`${step}: staged`)
    : Object.assign(new Error('connection terminated: staged'), { code: 'ECONNRESET' })

/** The same database, whose pool passes every statement through the staging. */
export function stagedDatabase(database: Database, staging: Staging): Database {
  const { pool } = database
  const staged: Database['pool'] = Object.create(pool)
  const query = (config: string | { readonly name?: string }, ...rest: unknown[]): Promise<unknown> => {
    const name = typeof config === 'string' ? 'text' : (config.name ?? 'unnamed')
    return staging.run(name, () => Reflect.apply(pool.query, pool, [config, ...rest]))
  }
  Object.defineProperty(staged, 'query', { value: query })
  return { ...database, pool: staged }
}

/** The same gate through the staging; what the jobs carry, which nobody takes, is handed to `onJobs`. */
export function stagedGate(gate: Gate, staging: Staging, onJobs: (admitted: readonly Admitted[]) => void): Gate {
  const { run } = staging
  const admitting = async <Reply extends GateReply>(step: StepName, call: () => Promise<Reply>): Promise<Reply> =>
    run(step, async () => {
      const reply = await call()
      if (reply.kind === 'warm') onJobs(reply.admitted)
      return reply
    })
  return {
    ...gate,
    offer: (offers) => admitting('gate.offer', () => gate.offer(offers)),
    withdraw: (runIds) => admitting('gate.withdraw', () => gate.withdraw(runIds)),
    next: () => admitting('gate.next', () => gate.next()),
    start: (starts, nodeId) => run('gate.start', () => gate.start(starts, nodeId)),
    release: (releases, offers, keep) => admitting('gate.release', () => gate.release(releases, offers, keep)),
    sweep: () => admitting('gate.sweep', () => gate.sweep()),
    configure: (entries) => admitting('gate.configure', () => gate.configure(entries)),
    setCapacities: (capacities) => admitting('gate.setCapacities', () => gate.setCapacities(capacities)),
    restore: (holdings) => admitting('gate.restore', () => gate.restore(holdings)),
    load: (what) => run('gate.load', () => gate.load(what)),
    state: () => run('gate.state', () => gate.state()),
    unknown: (runIds) => run('gate.unknown', () => gate.unknown(runIds)),
    lookup: (runIds) => run('gate.lookup', () => gate.lookup(runIds)),
    audit: (cursor) => run('gate.audit', () => gate.audit(cursor)),
    cancelWake: (runId) => run('gate.cancelWake', () => gate.cancelWake(runId)),
    live: { ...gate.live, publish: (events) => run('gate.publish', () => gate.live.publish(events)) },
  }
}
