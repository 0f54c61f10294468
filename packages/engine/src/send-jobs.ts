import { type Admitted, GateUnavailable } from '@muster/gate'
import type { EngineContext } from './engine-context.ts'
import { pause } from './pause.ts'

/** A reservation lasts 3 s; a job that comes later is refused anyway. */
const TRY_FOR_MS = 2500
const TRY_AGAIN_MS = 50

/**
 * Gives each admission its job. While Redis comes back the scripts may answer before the queues do: then the jobs are tried again in the
 * background until their reservations run out, after which each run is at the head of its class again.
 */
export async function sendJobs(context: EngineContext, admitted: readonly Admitted[]): Promise<void> {
  if (admitted.length === 0 || (await sent(context, admitted))) return
  void tryAgain(context, admitted).catch((error: unknown) =>
    context.log.error({ err: error }, 'jobs could not be added'),
  )
}

async function tryAgain(context: EngineContext, admitted: readonly Admitted[]): Promise<void> {
  const deadline = performance.now() + TRY_FOR_MS
  while (performance.now() < deadline) {
    await pause(TRY_AGAIN_MS)
    if (await sent(context, admitted)) return
  }
  context.log.warn(
    { run_ids: admitted.map((each) => each.runId) },
    'jobs could not be added; their reservations run out',
  )
}

async function sent(context: EngineContext, admitted: readonly Admitted[]): Promise<boolean> {
  try {
    await context.gate.enqueue(admitted)
    return true
  } catch (error) {
    if (error instanceof GateUnavailable) return false
    throw error
  }
}
