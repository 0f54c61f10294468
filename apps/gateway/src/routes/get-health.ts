import type { ROUTES } from '@muster/contracts'
import { contractForError, contractForList } from '@muster/core'
import { DUTIES, type Duty } from '@muster/engine'
import { fleetPulse } from '@muster/store'
import type { Handler } from '../handler.ts'

const TICK_LIMIT_SECONDS = 5
const DUTY_LIMIT_SECONDS = 30
/** A rebuild is done when the gate is found cold, not every second. */
const ON_DEMAND: ReadonlySet<Duty> = new Set(['rebuild'])

type Age = { status: 'ok' | 'stale' | 'never'; age_seconds: number | null; limit_seconds: number }

export const getHealth: Handler<typeof ROUTES.getHealth> = async ({ database, readiness }) => {
  const [{ checks }, pulse] = await Promise.all([readiness.report(), fleetPulse(database.pool).catch(() => null)])
  const tick = ageOf(pulse?.tickAgeSeconds, TICK_LIMIT_SECONDS)
  const regular = DUTIES.filter((duty) => !ON_DEMAND.has(duty))
  const duties = Object.fromEntries(
    regular.map((duty) => [duty, ageOf(pulse?.dutyAgeSeconds[duty], DUTY_LIMIT_SECONDS)]),
  )
  const body = {
    checks,
    tick,
    duties,
    workers: { active: pulse?.nodes['active'] ?? 0, draining: pulse?.nodes['draining'] ?? 0 },
    checked_at: new Date().toISOString(),
  }
  const healthy =
    pulse !== null && [tick, ...Object.values(duties)].every(({ status }) => status === 'ok') && allPass(checks)
  return healthy
    ? { status: 200, body: { status: 'healthy', ...body, agent_contract: contractForList() } }
    : { status: 503, body: { status: 'unhealthy', ...body, agent_contract: contractForError('unavailable', null) } }
}

const allPass = (checks: Readonly<Record<string, { readonly status: string; readonly required: boolean }>>): boolean =>
  Object.values(checks).every(({ status, required }) => status === 'ok' || !required)

function ageOf(seconds: number | null | undefined, limit: number): Age {
  if (seconds === null || seconds === undefined) return { status: 'never', age_seconds: null, limit_seconds: limit }
  const age = Math.max(0, Math.round(seconds * 1000) / 1000)
  return { status: age <= limit ? 'ok' : 'stale', age_seconds: age, limit_seconds: limit }
}
