import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { checkInvariants } from '@muster/engine'
import { createLogger } from '@muster/runtime'
import { createSessionFolders } from '@muster/sandbox'
import { removedFolders } from '@muster/store'
import { until } from '@muster/testkit'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { clearFolders } from '../src/start-custodian.ts'
import type { SmallFleet } from './small-fleet.ts'

let fleet: SmallFleet
let old: Awaited<ReturnType<SmallFleet['submit']>>

// ids carry their time and never go back: modules of this test's own make their first ones, and accept a first command, forty days ago
beforeAll(async () => {
  vi.resetModules()
  const { openSmallFleet } = await import('./small-fleet.ts')
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() - 40 * 86_400_000 })
  fleet = await openSmallFleet()
  await fleet.agent('writer', { command: ['/bin/sh', '-c', 'date > /workspace/kept; echo done'] })
  old = await fleet.submit({ agent: 'writer', message: 'x', session_key: 'old' })
  vi.useRealTimers()
})
afterAll(() => fleet.close())

const count = async (table: string): Promise<number> =>
  Number((await fleet.database.pool.query(`SELECT count(*) FROM ${table}`)).rows[0].count)

test('a worker removes what ended long ago, and the folder after it; what is new stays', async () => {
  await fleet.worker({ MUSTER_RETENTION_DAYS: '30' })
  const fresh = await fleet.submit({ agent: 'writer', message: 'x', session_key: 'fresh' })
  await until(
    async () => (await fleet.database.pool.query(`SELECT FROM tasks WHERE status = 'completed'`)).rowCount === 2,
    { deadlineMs: 20_000, what: 'both tasks completed' },
  )
  const folder = join(fleet.home, 'sessions', 'sessions', old.session?.id ?? '')
  expect(existsSync(join(folder, 'kept'))).toBe(true)
  expect(await count('sessions')).toBe(2)

  await fleet.database.pool.query(`UPDATE tasks SET updated_at = now() - interval '40 days' WHERE id = $1`, [
    old.task.id,
  ])
  await fleet.database.pool.query(`UPDATE sessions SET last_active_at = now() - interval '40 days' WHERE id = $1`, [
    old.session?.id,
  ])
  await until(async () => (await count('sessions')) === 1, { deadlineMs: 20_000, what: 'the old session is removed' })
  for (const table of ['tasks', 'runs', 'attempts']) expect(await count(table)).toBe(1)
  for (const table of ['events', 'attempts']) {
    const { rowCount } = await fleet.database.pool.query(`SELECT FROM ${table} WHERE run_id <> $1`, [fresh.run.id])
    expect(rowCount).toBe(0)
  }
  expect(await count('removed_runs')).toBe(0)
  expect(await removedFolders(fleet.database.pool, '', 10)).toEqual([old.session?.id])
  const { rows } = await fleet.database.pool.query(`SELECT duty_marks -> 'retention' AS mark FROM fleet`)
  expect(rows[0].mark).toBeTruthy()

  const folders = createSessionFolders(join(fleet.home, 'sessions'))
  const parts = { database: fleet.database, folders, logger: createLogger({ app: 'test', level: 'warn' }) }
  expect(await clearFolders(parts)).toBe(1)
  expect(await clearFolders(parts)).toBe(0)
  expect(existsSync(folder)).toBe(false)
  expect(existsSync(join(fleet.home, 'sessions', 'sessions', fresh.session?.id ?? '', 'kept'))).toBe(true)
  expect((await checkInvariants(fleet.context)).violations).toEqual([])
})
