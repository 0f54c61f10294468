import type { Logger } from './create-logger.ts'

/** Warns of trouble that comes again and again for as long as it lasts. `error` is logged with the fields. */
export type PacedWarn = (error: unknown, fields: Readonly<Record<string, string>>, message: string) => void

const EVERY_MS = 60_000

/**
 * Tells trouble of one kind at once and then once a minute, with how often it came meanwhile, so that an outage floods no log. Of a kind is
 * what shares its message, its fields and the sort of its error, all of which are few.
 */
export function paceWarnings(log: Pick<Logger, 'warn'>, nowMs: () => number = () => performance.now()): PacedWarn {
  const told = new Map<string, { readonly at: number; untold: number }>()
  return (error, fields, message) => {
    const kind = [message, ...Object.values(fields), sortOf(error)].join('/')
    const last = told.get(kind)
    if (last !== undefined && nowMs() - last.at < EVERY_MS) {
      last.untold += 1
      return
    }
    told.set(kind, { at: nowMs(), untold: 0 })
    log.warn({ err: error, ...fields, ...(last === undefined ? {} : { untold: last.untold }) }, message)
  }
}

const sortOf = (error: unknown): string => {
  if (!(error instanceof Error)) return typeof error
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name
}
