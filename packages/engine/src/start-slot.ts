import type { RunJob } from '@muster/contracts'
import { Batcher } from '@muster/core'
import type { Gate } from '@muster/gate'
import type { EngineContext } from './engine-context.ts'
import { pause } from './pause.ts'
import { perGate } from './per-gate.ts'
import { withGate } from './with-gate.ts'

const ASK_FOR_MS = 3000
const ASK_AGAIN_MS = 100
const BATCH_MAX = 64

/**
 * Makes the job's reserved slot a started one of this node. `dropped`: the gate refused, is cold, or did not answer within 3 s; then the
 * job is to be dropped, and whatever the gate did is undone by its own time limit or by the reconciler.
 */
export async function startSlot(context: EngineContext, job: RunJob, nodeId: string): Promise<'started' | 'dropped'> {
  const deadline = performance.now() + ASK_FOR_MS
  const starts = startsOf(context.gate)
  for (;;) {
    const answer = await withGate(() => starts.add({ job, nodeId })).catch((error: unknown) => {
      context.log.error({ err: error, run_id: job.run_id }, 'the gate refused to start a slot')
      return 'refused' as const
    })
    if (answer !== null) return answer === 'started' ? 'started' : 'dropped'
    if (performance.now() > deadline) return 'dropped'
    await pause(ASK_AGAIN_MS)
  }
}

type Start = { readonly job: RunJob; readonly nodeId: string }
type Outcome = 'started' | 'refused' | 'cold'

/** While one call is on its way the next starts wait for each other. */
const startsOf = perGate((gate) => new Batcher<Start, Outcome>((batch) => startAll(gate, batch), { max: BATCH_MAX }))

async function startAll(gate: Gate, batch: readonly Start[]): Promise<Outcome[]> {
  const outcomes = new Map<Start, Outcome>()
  for (const [nodeId, own] of Map.groupBy(batch, (start) => start.nodeId)) {
    const answer = await gate.start(
      own.map(({ job }) => ({ runId: job.run_id, admission: job.admission })),
      nodeId,
    )
    for (const [index, start] of own.entries())
      outcomes.set(start, answer.kind === 'cold' ? 'cold' : (answer.outcomes[index] ?? 'refused'))
  }
  return batch.map((start) => outcomes.get(start) ?? 'refused')
}
