import type { Logger } from '@muster/runtime'
import type { WorkerConfig } from './config.ts'
import { HAND_BACKS_MAX } from './hand-backs.ts'
import type { RunDesk } from './run-desk.ts'

const SNAPSHOT_GRACE_MS = 2000
/** What killing what is left may take past the last limit, and keeping its ends where Postgres answers; and once more without Postgres. */
const LEFT_MS = 5000

/**
 * Lets runs finish until the drain limit, hands back the rest, and past the last limit loses what may not be handed back again. What then
 * still waits for a database that is away is given up by `giveUp`, and counts as lost. Ends some seconds past that limit, whatever hangs.
 */
export async function drainDesk(
  desk: RunDesk,
  config: Pick<WorkerConfig, 'drainMs' | 'drainMaxMs'>,
  giveUp: AbortController,
  logger: Logger,
): Promise<void> {
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
  await Promise.race([empty, elapsed(LEFT_MS)])
  giveUp.abort()
  await Promise.race([empty, elapsed(LEFT_MS)])
  for (const { run } of desk.executions) logger.error({ run_id: run.run_id }, 'left behind: it could not be stopped')
}

const elapsed = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms).unref())
