import type { Agent, AgentConfig } from '@muster/contracts'
import { NO_USAGE, newId } from '@muster/core'
import { createDatabase, type TestDatabase } from '@muster/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { firstIdAt } from '../src/first-id-at.ts'
import {
  AgentVersions,
  appendEvents,
  cancelRun,
  configurationSince,
  createAgent,
  createApiKey,
  createWorkspace,
  type Database,
  deleteAgent,
  findAgent,
  findKeyOwner,
  findRun,
  findTask,
  listAgents,
  listRuns,
  listTasks,
  listWorkspaces,
  openDatabase,
  patchAgent,
  patchWorkspace,
  readEvents,
  requeueTask,
  revokeApiKey,
  runsAheadOf,
} from '../src/index.ts'
import { failed, openRoad, type Road } from './road-fixture.ts'

const CONFIG: AgentConfig = { runner: 'process', command: ['true'] }

let fresh: TestDatabase
let database: Database
let road: Road
beforeAll(async () => {
  fresh = await createDatabase()
  database = openDatabase({ url: fresh.url, poolSize: 6, onError: () => undefined })
  road = await openRoad()
})
afterAll(async () => {
  await road.close()
  await database.close()
  await fresh.drop()
})

const makeWorkspace = async (): Promise<string> =>
  (await createWorkspace(database, { key: newId('workspace').replace('_', '-') })).resource.id

describe('a page of large items', () => {
  test('is cut where it grows too large, and the pages after it bring the rest, each item once', async () => {
    const { workspaceId } = road
    const large = { message: 'm'.repeat(900_000), metadata: { text: 'a'.repeat(100_000) } }
    const agents: string[] = []
    for (let n = 0; n < 20; n++) {
      await road.acceptOne(large)
      const files = Object.fromEntries(Array.from({ length: 4 }, (_, k) => [`f${k}`, 'x'.repeat(250_000)]))
      const made = await createAgent(road.database, workspaceId, { key: `large-${n}`, config: { ...CONFIG, files } })
      agents.push(made.resource.id)
    }
    const lists = {
      runs: (before: string | null) => listRuns(road.database, workspaceId, {}, { limit: 100, before }),
      tasks: (before: string | null) => listTasks(road.database, workspaceId, { show: 'all' }, { limit: 100, before }),
      agents: (before: string | null) => listAgents(road.database, workspaceId, { limit: 100, before }),
    }
    for (const [name, list] of Object.entries(lists)) {
      const ids: string[] = []
      let pages = 0
      for (let before: string | null = null, more = true; more; pages++) {
        const page: Awaited<ReturnType<typeof list>> = await list(before)
        expect(JSON.stringify(page.items).length, name).toBeLessThan(10_000_000)
        ids.push(...page.items.map((item) => item.id))
        before = page.next
        more = before !== null
      }
      expect(pages, name).toBeGreaterThan(name === 'tasks' ? 0 : 2)
      expect(ids, name).toEqual([...new Set(ids)].toSorted().reverse())
      expect(ids.length, name).toBeGreaterThanOrEqual(20)
    }
    expect((await listRuns(road.database, workspaceId, {}, { limit: 1, before: null })).items.length).toBe(1)
    for (const id of agents) expect(await deleteAgent(road.database, workspaceId, id)).toBe('deleted')
  })

  test('that compress well is measured by what they are, and one larger than a page is a page', async () => {
    const { workspaceId, database } = road
    const ids: string[] = []
    for (let n = 0; n < 3; n++) ids.push((await road.acceptOne()).run_id)
    await database.pool.query(`UPDATE runs SET output = to_jsonb(repeat('a', 9000000)) WHERE id = ANY($1)`, [ids])
    const first = await listRuns(database, workspaceId, {}, { limit: 3, before: null })
    expect([first.items.map((run) => run.id), first.next]).toEqual([[ids[2]], ids[2]])
    await database.pool.query('UPDATE runs SET output = NULL WHERE id = ANY($1)', [ids])
    const whole = await listRuns(database, workspaceId, {}, { limit: 3, before: null })
    expect(whole.items.map((run) => run.id)).toEqual(ids.toReversed())
  })
})

describe('reads of runs and tasks', () => {
  test('an accepted command reads back whole, with the fields that nothing set yet as null', async () => {
    const metadata = JSON.parse('{"__proto__": {"x": 1}, "$type": "DateTime", "value": "v", "deep": [[[null]]]}')
    const { run_id, task_id } = await road.acceptOne({ metadata, label: 'l', priority: 7 })
    const run = await findRun(road.database, road.workspaceId, run_id)
    expect(run).toMatchObject({
      id: run_id,
      task_id,
      label: 'l',
      priority: 7,
      status: 'queued',
      output: null,
      usage: NO_USAGE,
      node_id: null,
    })
    expect(JSON.stringify(run?.metadata)).toContain('"__proto__":{"x":1}')
    const task = await findTask(road.database, road.workspaceId, task_id)
    expect(Object.keys(task?.metadata ?? {}).sort()).toEqual(['$type', '__proto__', 'deep', 'value'])
  })

  test('another workspace reads nothing', async () => {
    const { run_id, task_id } = await road.acceptOne()
    const other = newId('workspace')
    expect(await findRun(road.database, other, run_id)).toBeNull()
    expect(await findTask(road.database, other, task_id)).toBeNull()
    expect((await listRuns(road.database, other, {}, { limit: 10, before: null })).items).toEqual([])
  })

  test('a page tells whether there is a next one, also when it ends exactly at the last item', async () => {
    const workspaceId = await makeWorkspace()
    for (const key of ['a', 'b', 'c']) await createAgent(database, workspaceId, { key, config: CONFIG })
    const keys = async (limit: number, before: string | null) => {
      const page = await listAgents(database, workspaceId, { limit, before })
      return { keys: page.items.map((agent) => agent.key), next: page.next }
    }
    expect(await keys(3, null)).toEqual({ keys: ['c', 'b', 'a'], next: null })
    const first = await keys(2, null)
    expect(first.keys).toEqual(['c', 'b'])
    expect(await keys(2, first.next)).toEqual({ keys: ['a'], next: null })
  })
})

describe('reads of events', () => {
  test('in order, after a number, at most as many as asked; who is behind is told', async () => {
    const nodeId = await road.node()
    const { run_id: runId } = await road.acceptOne()
    const held = await road.held(nodeId, runId)
    const events = Array.from(
      { length: 5 },
      (_, index) => ({ type: 'agent.delta', data: { text: `${index}` } }) as const,
    )
    await appendEvents(road.database.pool, [{ runId, generation: held.generation, flush: 1, events }])
    const { pool } = road.database
    expect((await readEvents(pool, runId, 0, 100)).map((event) => event.seq)).toEqual([1, 2, 3, 4, 5, 6, 7])
    expect((await readEvents(pool, runId, 3, 2)).map((event) => event.seq)).toEqual([4, 5])
    expect(await readEvents(pool, runId, 7, 10)).toEqual([])
    expect(await runsAheadOf(pool, new Map([[runId, 6]]))).toEqual([{ id: runId, gone: false }])
    const gone = newId('run')
    const known = new Map([
      [runId, 7],
      [gone, 0],
    ])
    expect(await runsAheadOf(pool, known)).toEqual([{ id: gone, gone: true }])
    expect(await runsAheadOf(pool, new Map())).toEqual([])
  })
})

test('the first id at a time sorts before every id made at or after it, and after every one made before', () => {
  const at = new Date('2026-01-02T03:04:05.678Z')
  const bound = firstIdAt('run', at)
  expect(bound).toMatch(/^run_[0-7][0-9a-hjkmnp-tv-z]{25}$/)
  expect(
    firstIdAt('run', new Date(at.getTime() - 1)) < bound && bound < firstIdAt('run', new Date(at.getTime() + 1)),
  ).toBe(true)
  const now = Date.now()
  const made = newId('run')
  expect(firstIdAt('run', new Date(now)) <= made && made < firstIdAt('run', new Date(now + 1000))).toBe(true)
  expect(firstIdAt('run', new Date(-1))).toBe(`run_${'0'.repeat(26)}`)
  expect(firstIdAt('run', new Date('9999-12-31T23:59:59Z')) > bound).toBe(true)
})

describe('configuration', () => {
  test('a change that is under way while the configuration is read is told by the next read', async () => {
    const workspaceId = await makeWorkspace()
    const client = await database.pool.connect()
    try {
      await client.query('BEGIN')
      await client.query(
        `UPDATE workspaces SET weight = 9, config_version = nextval('config_version'), configured_at = now() WHERE id = $1`,
        [workspaceId],
      )
      const before = await configurationSince(database.pool, null)
      await client.query('COMMIT')
      const after = await configurationSince(database.pool, before.asOf)
      expect(
        after.entries.find((entry) => entry.node.kind === 'workspace' && entry.node.workspaceId === workspaceId)
          ?.weight,
      ).toBe(9)
    } finally {
      client.release()
    }
  })

  test('what was set back to the defaults is told too, so that an older word cannot stay', async () => {
    const workspaceId = await makeWorkspace()
    await patchWorkspace(database, workspaceId, { limits: { concurrency: 1 } })
    const reset = await patchWorkspace(database, workspaceId, { limits: { concurrency: null } })
    const { entries } = await configurationSince(database.pool, null)
    expect(entries).toContainEqual(reset?.configuration[0])
  })

  test('a default workspace or agent of long ago is not told', async () => {
    const workspaceId = await makeWorkspace()
    const { resource: agent } = await createAgent(database, workspaceId, { key: 'old', config: CONFIG })
    await fresh.query(`update workspaces set configured_at = now() - interval '1 day' where id = $1`, [workspaceId])
    await fresh.query(`update agents set configured_at = now() - interval '1 day' where id = $1`, [agent.id])
    const told = (await configurationSince(database.pool, null)).entries.map((entry) => JSON.stringify(entry.node))
    expect(told.filter((node) => node.includes(workspaceId) || node.includes(agent.id))).toEqual([])
  })

  test('versions rise with every write, in the order of the writes to one place', async () => {
    const workspaceId = await makeWorkspace()
    const writes = await Promise.all(
      Array.from({ length: 10 }, (_, index) => patchWorkspace(database, workspaceId, { weight: index + 1 })),
    )
    const versions = writes.map((written) => written?.configuration[0]?.version ?? 0)
    expect(new Set(versions).size).toBe(10)
    const { items } = await listWorkspaces(database, { limit: 200, before: null })
    const last = writes.find((written) => written?.configuration[0]?.version === Math.max(...versions))
    expect(items.find((workspace) => workspace.id === workspaceId)?.weight).toBe(last?.resource.weight)
  })

  test('a transaction that fails leaves nothing, and its connection can be used again', async () => {
    const workspaceId = await makeWorkspace()
    const { resource: agent } = await createAgent(database, workspaceId, { key: 'a', config: CONFIG })
    await fresh.query(`update agents set limits = '[]' where id = $1`, [agent.id])
    for (let round = 0; round < 10; round++)
      await expect(patchAgent(database, workspaceId, 'a', { paused: true })).rejects.toThrow()
    const [row] = await fresh.query('select paused from agents where id = $1', [agent.id])
    expect(row?.['paused']).toBe(false)
    expect(database.pool.idleCount + database.pool.waitingCount).toBeLessThanOrEqual(6)
  })
})

describe('agents and keys', () => {
  test('a deleted agent is found by neither id nor key; its key is free again', async () => {
    const workspaceId = await makeWorkspace()
    const { resource: agent } = await createAgent(database, workspaceId, { key: 'k', config: CONFIG })
    await expect(createAgent(database, workspaceId, { key: 'k', config: CONFIG })).rejects.toMatchObject({
      code: 'agent_exists',
    })
    expect(await deleteAgent(database, workspaceId, 'k')).toBe('deleted')
    for (const name of ['k', agent.id]) expect(await findAgent(database, workspaceId, name)).toBeNull()
    expect(await deleteAgent(database, workspaceId, agent.id)).toBe('absent')
    await createAgent(database, workspaceId, { key: 'k', config: CONFIG })
  })

  test('an agent is busy with its own runs alone, not with those of a deleted one that had its key', async () => {
    const { database, workspaceId } = road
    const make = async () => (await createAgent(database, workspaceId, { key: 'reused', config: CONFIG })).resource
    const accept = (agent: Agent) =>
      road.acceptOne({ agent_id: agent.id, agent_key: agent.key, job_name: 'acme/reused/main', max_attempts: 1 })
    const old = await make()
    const { run_id, task_id } = await accept(old)
    await road.end(await road.held(await road.node(), run_id), failed)
    expect(await requeueTask(database.pool, task_id, newId('run'))).toMatchObject({ outcome: 'requeued' })
    await database.pool.query('UPDATE agents SET deleted_at = now() WHERE id = $1', [old.id])
    const anew = await make()
    const own = await accept(anew)
    expect(await deleteAgent(database, workspaceId, anew.id)).toBe('busy')
    await cancelRun(database.pool, own.run_id, 'cancelled', 'no more')
    expect(await deleteAgent(database, workspaceId, anew.id)).toBe('deleted')
  })

  test('every version that was asked for is known, however many were read before', async () => {
    await road.database.pool.query(
      `INSERT INTO agent_versions (agent_id, version, config) SELECT agent_id, n, config FROM agent_versions, generate_series(2, 1002) n WHERE agent_id = $1`,
      [road.agentId],
    )
    const versions = new AgentVersions(road.database.pool)
    const version = (agent_version: number) => ({ agent_id: road.agentId, agent_version })
    await versions.read(Array.from({ length: 1000 }, (_, index) => version(index + 1)))
    const asked = [1, 1001, 1002].map(version)
    await versions.read(asked)
    expect(asked.map((each) => versions.of(each).success)).toEqual([true, true, true])
  })

  test('a key opens its workspace until it is revoked', async () => {
    const workspaceId = await makeWorkspace()
    const hash = Buffer.alloc(32, 7)
    const key = await createApiKey(database, { workspaceId, name: null, hash })
    expect((await findKeyOwner(database, hash))?.id).toBe(workspaceId)
    expect(await revokeApiKey(database, await makeWorkspace(), key.id)).toBeNull()
    const revoked = await revokeApiKey(database, workspaceId, key.id)
    expect(await findKeyOwner(database, hash)).toBeNull()
    expect((await revokeApiKey(database, workspaceId, key.id))?.revoked_at).toBe(revoked?.revoked_at)
  })
})
