import type { Gate } from '@muster/gate'
import { checkReadiness } from '@muster/runtime'
import { type Database, pendingMigrations } from '@muster/store'

export type ReadinessCheckResult = { status: 'ok' | 'failed'; detail?: string; required: boolean }

/** Whether this process should be sent requests. */
export type Readiness = {
  report(): Promise<{ ready: boolean; checks: Record<string, ReadinessCheckResult> }>
  /** From now on it is not ready. */
  drain(): void
}

export type ReadinessParts = { readonly database: Database; readonly gate: Gate; readonly migrationsDir: string }

/** Needs Postgres with every migration applied; tells of Redis, without which commands are accepted all the same. */
export function createReadiness({ database, gate, migrationsDir }: ReadinessParts): Readiness {
  let draining = false
  let migrated = false

  const required = {
    postgres: async () => {
      await database.pool.query('SELECT 1')
    },
    migrations: async () => {
      if (migrated) return
      const pending = await pendingMigrations(database.pool, migrationsDir)
      if (pending.length > 0) throw new Error(`not applied: ${pending.join(', ')}`)
      migrated = true
    },
    accepting: async () => {
      if (draining) throw new Error('draining')
    },
  }
  const optional = {
    redis: async () => {
      const { warm } = await gate.state()
      if (!warm) throw new Error('the gate is cold and is being rebuilt')
    },
  }

  return {
    async report() {
      const [needed, told] = await Promise.all([checkReadiness(required), checkReadiness(optional)])
      const checks = [
        ...Object.entries(needed.checks).map(([name, check]) => [name, { ...check, required: true }] as const),
        ...Object.entries(told.checks).map(([name, check]) => [name, { ...check, required: false }] as const),
      ]
      return { ready: needed.status === 'ready', checks: Object.fromEntries(checks) }
    },
    drain() {
      draining = true
    },
  }
}
