import type { Logger } from '@muster/runtime'
import type { WorkerConfig } from './config.ts'
import type { RunDesk } from './run-desk.ts'

/** Hand-backs in a row without a sign of progress, past which a run stays until the last limit. */
const HAND_BACKS_MAX = 5
const SNAPSHOT_GRACE_MS = 2000

/** Lets runs finish until the drain limit, hands back the rest, and past the last limit loses what may not be handed back again. */
export async function drainDesk(desk: RunDesk, config: WorkerConfig, logger: Logger): Promise<void> {
  const empty = desk.empty()
  await Promise.race([empty, elapsed(config.drainMs)])
  desk.stopFromNowOn(({ run, progressed }) => {
    if (run.hand_backs >= HAND_BACKS_MAX && !progressed) {
      logger.warn({ run_id: run.run_id }, 'handed back too often without progress; it stays until the last limit')
      return null
    }
    logger.info({ run_id: run.run_id }, 'handing back')
    return { kind: 'hand_back', graceMs: SNAPSHOT_GRACE_MS }
  })
  await Promise.race([empty, elapsed(Math.max(0, config.drainMaxMs - config.drainMs))])
  desk.stopFromNowOn(() => ({ kind: 'lost' }))
  await empty
}

const elapsed = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms).unref())
