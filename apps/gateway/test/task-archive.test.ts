import { afterAll, beforeAll, expect, test } from 'vitest'
import { Driver } from './drive-run.ts'
import { type Fixture, openFixture } from './gateway-fixture.ts'

let fixture: Fixture
let agent: string
let driver: Driver
beforeAll(async () => {
  fixture = await openFixture()
  agent = (await fixture.agent()).key
  driver = await Driver.register(fixture.database)
})
afterAll(() => fixture.close())

type Sent = { readonly task: string; readonly run: string }

async function send(): Promise<Sent> {
  const sent = await fixture.call('POST', '/v1/commands', { body: { agent, message: 'x' } })
  return { task: sent.textAt('task.id'), run: sent.textAt('run.id') }
}
async function sendAndFail(): Promise<Sent> {
  const sent = await send()
  await driver.fail(sent.run, await driver.claim(sent.run))
  return sent
}
const archive = (task: string) => fixture.call('POST', `/v1/tasks/${task}/archive`)

async function listed(query: string): Promise<string[]> {
  const ids: string[] = []
  for (let cursor = ''; ; ) {
    const page = await fixture.call('GET', `/v1/tasks?limit=2${query}${cursor}`)
    const data = page.at('data')
    if (!Array.isArray(data)) throw new Error(`no list: ${page.text}`)
    ids.push(...data.map((task) => task.id))
    if (page.at('next_cursor') === null) return ids
    cursor = `&cursor=${page.textAt('next_cursor')}`
  }
}

test('a task that has not ended is refused and stays listed', async () => {
  const { task, run } = await send()
  for (const status of ['pending', 'running']) {
    const refused = await archive(task)
    expect([refused.status, refused.at('code')]).toEqual([409, 'invalid_transition'])
    expect(refused.textAt('detail')).toContain(status)
    expect((await fixture.call('GET', `/v1/tasks/${task}`)).at('task')).toMatchObject({ status, archived_at: null })
    if (status === 'pending') await driver.claim(run)
  }
})

test('an archived task leaves the lists and stays readable; archiving it again changes nothing', async () => {
  const { task, run } = await sendAndFail()
  const first = await archive(task)
  expect(first.status).toBe(200)
  const at = first.textAt('task.archived_at')
  expect((await archive(task)).at('task')).toEqual(first.at('task'))
  expect(await listed('')).not.toContain(task)
  expect(await listed('&include_archived=false&status=dead_letter')).not.toContain(task)
  expect(await listed('&include_archived=true&status=dead_letter')).toContain(task)
  expect((await fixture.call('GET', `/v1/tasks/${task}`)).at('task.archived_at')).toBe(at)
  expect((await fixture.call('GET', `/v1/runs/${run}`)).at('run.status')).toBe('failed')
})

test('pages hold listed and archived tasks each once, newest first', async () => {
  const made: string[] = []
  for (let index = 0; index < 7; index++) {
    const { task } = await sendAndFail()
    made.unshift(task)
    if (index % 3 !== 0) await archive(task)
  }
  const all = (await listed('&include_archived=true')).slice(0, 7)
  expect(all).toEqual(made)
  expect((await listed('')).slice(0, 3)).toEqual([made[0], made[3], made[6]])
})

test('a requeue lists an archived dead letter again', async () => {
  const { task } = await sendAndFail()
  await archive(task)
  expect((await fixture.call('POST', `/v1/tasks/${task}/requeue`)).status).toBe(202)
  expect((await fixture.call('GET', `/v1/tasks/${task}`)).at('task')).toMatchObject({
    status: 'pending',
    archived_at: null,
  })
  expect(await listed('')).toContain(task)
})

test("another workspace's task, and one that is none, are not found", async () => {
  const { secret } = await fixture.workspace()
  const { task } = await sendAndFail()
  for (const [id, key] of [
    [task, secret],
    [`tsk_${'0'.repeat(26)}`, fixture.key],
    ['%F0%9F%98%80', fixture.key],
  ]) {
    const reply = await fixture.call('POST', `/v1/tasks/${id}/archive`, key === undefined ? {} : { key })
    expect([reply.status, reply.at('code')]).toEqual([404, 'task_not_found'])
  }
  for (const value of ['yes', '1', '', 'TRUE'])
    expect((await fixture.call('GET', `/v1/tasks?include_archived=${value}`)).at('errors.0.pointer')).toBe(
      'query/include_archived',
    )
})

test('a list reads its page by an index, however much is archived', async () => {
  const { pool } = fixture.database
  for (const [where, index] of [
    ['archived_at IS NULL', 'tasks_listed'],
    ['archived_at IS NOT NULL', 'tasks_archived'],
  ]) {
    const client = await pool.connect()
    try {
      await client.query('SET enable_seqscan = off')
      await client.query('SET enable_bitmapscan = off')
      const { rows } = await client.query(
        `EXPLAIN SELECT * FROM tasks WHERE workspace_id = 'wsp' AND ${where} AND id < 'tsk' ORDER BY id DESC LIMIT 51`,
      )
      const plan = rows.map((row) => row['QUERY PLAN']).join('\n')
      expect(plan).toContain(`Index Scan Backward using ${index}`)
      expect(plan).not.toContain('Sort')
    } finally {
      client.release(true)
    }
  }
})
