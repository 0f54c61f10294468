import type { Logger } from './create-logger.ts'

export type DrainOptions = {
  readonly logger: Logger
  /** Ends the process's work in good order; after it the process exits with 0, or with 1 if it throws. */
  readonly drain: (reason: DrainReason) => Promise<void>
  /** The last act before a forced exit; must not wait for anything. */
  readonly force?: () => void
}

export type DrainReason = 'SIGTERM' | 'SIGINT' | 'SIGHUP' | 'supervisor_gone'

/** One Ctrl-C arrives twice below npm: from the terminal, and passed on by npm. */
const SAME_SIGNAL_WITHIN_MS = 500

/**
 * Makes a process end well. The first SIGTERM, SIGINT or SIGHUP (the terminal was closed), or the loss of a supervisor that started it with an IPC channel, drains; a
 * second signal, at least half a second later, forces. An error that nobody handled is logged and ends the process with 1, since its state can no longer be trusted.
 */
export function drainOnSignal({ logger, drain, force }: DrainOptions): void {
  let drainingSince: number | null = null

  const exitNow = (code: number): never => {
    force?.()
    process.exit(code)
  }
  const begin = (reason: DrainReason): void => {
    if (drainingSince !== null) {
      if (reason === 'supervisor_gone' || performance.now() - drainingSince < SAME_SIGNAL_WITHIN_MS) return
      logger.warn({ reason }, 'second signal: stopping at once')
      exitNow(1)
    }
    drainingSince = performance.now()
    logger.info({ reason }, 'draining')
    drain(reason).then(
      () => process.exit(0),
      (error: unknown) => {
        logger.fatal({ err: error }, 'drain failed')
        exitNow(1)
      },
    )
  }
  const give =
    (message: string) =>
    (error: unknown): void => {
      logger.fatal({ err: error }, message)
      exitNow(1)
    }

  process.on('SIGTERM', () => begin('SIGTERM'))
  process.on('SIGINT', () => begin('SIGINT'))
  process.on('SIGHUP', () => begin('SIGHUP'))
  process.on('unhandledRejection', give('unhandled rejection'))
  process.on('uncaughtException', give('uncaught exception'))
  process.on('disconnect', () => begin('supervisor_gone'))
  process.channel?.unref()
  // The supervisor may have gone while this process was still starting; without one there never was a channel.
  if (process.connected === false) begin('supervisor_gone')
}
