import { DEFAULT_POLICY } from '@muster/contracts'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { configurationSince, ensureClasses, patchAgent, patchClass, patchWorkspace } from '../src/index.ts'
import { openRoad, type Road } from './road-fixture.ts'

const WAITING = `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`
const CLASS = `cls_${'7'.repeat(32)}`

let road: Road
beforeAll(async () => {
  road = await openRoad()
  const made = { key: CLASS, workspace_id: road.workspaceId, agent_id: road.agentId, agent_key: 'echo', lane: 'main' }
  const { retry: _, named_resources: __, ...policy } = DEFAULT_POLICY
  await ensureClasses(road.database, [{ ...made, pool: 'none', policy }])
})
afterAll(() => road.close())

const patches = {
  workspaces: () => patchWorkspace(road.database, road.workspaceId, { weight: 2 }),
  agents: () => patchAgent(road.database, road.workspaceId, 'echo', { weight: 2 }),
  classes: () => patchClass(road.database, road.workspaceId, CLASS, { weight: 2 }),
} as const

test.each(['workspaces', 'agents', 'classes'] as const)(
  'a change that waited is told to who asks from the moment on in which it was made, among %s',
  async (table) => {
    const { pool } = road.database
    const holder = await pool.connect()
    try {
      await holder.query(`BEGIN; SELECT FROM ${table} FOR UPDATE`)
      const patched = patches[table]()
      await expect.poll(async () => (await pool.query(WAITING)).rowCount).toBe(1)
      const { rows } = await pool.query('SELECT clock_timestamp() AS at')
      await holder.query('COMMIT')
      expect(await patched).not.toBeNull()
      const { entries } = await configurationSince(pool, rows[0].at)
      expect(entries.map((entry) => entry.weight)).toEqual([2])
    } finally {
      holder.release()
    }
  },
)
