import type { Ceilings } from '@muster/core'
import type { Gate } from '@muster/gate'
import type { Database } from '@muster/store'
import type { EngineReport } from './engine-report.ts'

/** Structured logging, fields first. */
export type EngineLog = {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

/** What every use case works on. */
export type EngineContext = {
  readonly database: Database
  readonly gate: Gate
  readonly log: EngineLog
  readonly report?: Partial<EngineReport>
  /** Above them nothing new is accepted. */
  readonly ceilings?: Ceilings
}
