import type { RunJob } from '@muster/contracts'
import type { EngineContext } from './engine-context.ts'
import { pause } from './pause.ts'
import { withGate } from './with-gate.ts'

const ASK_FOR_MS = 3000
const ASK_AGAIN_MS = 100

/**
 * Makes the job's reserved slot a started one of this node. `dropped`: the gate refused, is cold, or did not answer within 3 s; then the
 * job is to be dropped, and whatever the gate did is undone by its own time limit or by the reconciler.
 */
export async function startSlot(context: EngineContext, job: RunJob, nodeId: string): Promise<'started' | 'dropped'> {
  const deadline = performance.now() + ASK_FOR_MS
  for (;;) {
    const answer = await withGate(() => context.gate.start(job.run_id, job.admission, nodeId)).catch(
      (error: unknown) => {
        context.log.error({ err: error, run_id: job.run_id }, 'the gate refused to start a slot')
        return 'refused' as const
      },
    )
    if (answer !== null) return answer === 'started' ? 'started' : 'dropped'
    if (performance.now() > deadline) return 'dropped'
    await pause(ASK_AGAIN_MS)
  }
}
