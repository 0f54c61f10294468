import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { Driver } from './drive-run.ts'
import { ADMIN_TOKEN, type Fixture, openFixture } from './gateway-fixture.ts'

let fixture: Fixture
let agent: { id: string; key: string }
let lane: string
beforeAll(async () => {
  fixture = await openFixture()
  agent = await fixture.agent()
  lane = `default/${agent.key}/main`
})
afterAll(() => fixture.close())

const BASIC = `Basic ${Buffer.from(`anyone:${ADMIN_TOKEN}`).toString('base64')}`
const ask = (path: string, init: RequestInit = {}) =>
  fixture.gateway.app.request(`http://muster.test/admin/queues${path}`, {
    ...init,
    headers: { authorization: BASIC, ...init.headers },
  })
const put = (path: string) => ask(`/api/queues/${path}`, { method: 'PUT' })
const at = (name: string) => encodeURIComponent(name)
const QUEUES = z.object({
  queues: z.array(
    z.object({
      name: z.string(),
      counts: z.record(z.string(), z.number()),
      isPaused: z.boolean(),
      readOnlyMode: z.boolean(),
      jobs: z.array(
        z.object({
          id: z.string(),
          name: z.string(),
          data: z.record(z.string(), z.unknown()),
          failedReason: z.string(),
        }),
      ),
    }),
  ),
})
const queues = async (query = '') => QUEUES.parse(await (await ask(`/api/queues${query}`)).json()).queues
const queue = async (query = '') => (await queues(query)).find(({ name }) => name === lane)
const command = async (body: object = {}): Promise<string> =>
  (await fixture.call('POST', '/v1/commands', { body: { agent: agent.key, message: 'hello', ...body } })).textAt(
    'run.id',
  )

test('anonymous requests, wrong passwords and other sites get nothing', async () => {
  const app = fixture.gateway.app
  for (const path of ['', '/', '/api/queues', '/search?q=a', '/static/css/main.css', `/runs/${await command()}`]) {
    const anonymous = await app.request(`/admin/queues${path}`)
    expect(anonymous.status).toBe(401)
    expect(anonymous.headers.get('www-authenticate')).toContain('Basic')
    for (const authorization of [
      'Basic !!',
      `Basic ${btoa('anyone:wrong')}`,
      `Bearer ${fixture.key}`,
      `Basic ${btoa(`x:${fixture.key}`)}`,
    ])
      expect((await app.request(`/admin/queues${path}`, { headers: { authorization } })).status).toBe(401)
    for (const headers of [
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site' },
      { origin: 'https://elsewhere.test' },
      { origin: 'null' },
      { origin: 'http://muster.test:81' },
    ])
      expect((await ask(path, { headers })).status).toBe(403)
  }
  expect(
    (await ask('/api/queues', { headers: { 'sec-fetch-site': 'same-origin', origin: 'http://muster.test' } })).status,
  ).toBe(200)
})

test('pages load nothing from elsewhere and may not be framed', async () => {
  expect((await ask('/')).headers.get('location')).toBe('/admin/queues')
  const page = await ask('')
  const html = await page.text()
  expect(page.status).toBe(200)
  expect(html).toContain('static/js/main')
  expect(html.match(/(?:href|src)="(?:https?:)?\/\/[^"]*/g)).toBeNull()
  expect(page.headers.get('content-security-policy')).toContain("frame-ancestors 'none'")
  expect((await ask('/static/js/main.f10757109b.js')).status).toBe(200)
})

test('a lane shows its runs by state, with their texts cut', async () => {
  const waiting = await command({ label: 'the label', message: 'x'.repeat(900) })
  const later = await command({ delay_ms: 600_000 })
  const found = await queue(`?activeQueue=${at(lane)}&status=waiting&jobsPerPage=50`)
  expect(found?.counts).toMatchObject({ delayed: 1 })
  const job = found?.jobs.find(({ id }) => id === waiting)
  expect(job).toMatchObject({ name: 'the label', data: { run_id: waiting, agent: agent.key, label: 'the label' } })
  expect(String(job?.data['message']).length).toBeLessThan(510)
  expect((await queue(`?activeQueue=${at(lane)}&status=delayed`))?.jobs.map(({ id }) => id)).toEqual([later])
  const pools = (await queues()).filter(({ name }) => !name.includes('/'))
  expect(pools.every(({ readOnlyMode }) => readOnlyMode)).toBe(true)
})

test('removing a waiting run cancels it, once and for good', async () => {
  const runId = await command()
  expect((await put(`${at(lane)}/${runId}/clean`)).status).toBe(204)
  const run = await fixture.call('GET', `/v1/runs/${runId}`)
  expect(run.at('run.status')).toBe('cancelled')
  expect((await put(`${at(lane)}/${runId}/clean`)).status).toBe(409)
  expect((await put(`${at('default/other/main')}/${runId}/clean`)).status).toBe(404)
})

test('retrying a dead letter requeues its task and takes it out of the failed', async () => {
  const runId = await command({ label: 'fails' })
  const driver = await Driver.register(fixture.database)
  await driver.fail(runId, await driver.claim(runId))
  const failed = await queue(`?activeQueue=${at(lane)}&status=failed`)
  expect(failed?.counts['failed']).toBe(1)
  expect(failed?.jobs[0]).toMatchObject({ id: runId, failedReason: 'agent_error: it did not work' })
  expect((await put(`${at(lane)}/${runId}/retry`)).status).toBe(204)
  expect((await queue())?.counts['failed']).toBe(0)
  const taskId = (await fixture.call('GET', `/v1/runs/${runId}`)).textAt('run.task_id')
  expect((await fixture.call('GET', `/v1/tasks/${taskId}`)).at('task.status')).toBe('pending')
  expect((await put(`${at(lane)}/${runId}/retry`)).status).toBe(409)
})

test('pausing a queue pauses the lane of the agent and nothing else', async () => {
  const paused = async () => (await fixture.call('GET', `/v1/agents/${agent.key}`)).at('agent.limits.lanes.main.paused')
  await fixture.call('PATCH', `/v1/agents/${agent.key}`, { body: { limits: { lanes: { main: { concurrency: 3 } } } } })
  expect((await put(`${at(lane)}/pause`)).status).toBe(200)
  expect(await paused()).toBe(true)
  expect((await queue())?.isPaused).toBe(true)
  expect((await put(`${at(lane)}/resume`)).status).toBe(200)
  expect(await paused()).toBe(false)
  const agentNow = await fixture.call('GET', `/v1/agents/${agent.key}`)
  expect(agentNow.at('agent.limits.lanes.main.concurrency')).toBe(3)
})

test('what would act past the books is refused', async () => {
  const runId = await command()
  for (const [method, path] of [
    ['PUT', `/api/queues/${at(lane)}/empty`],
    ['PUT', `/api/queues/${at(lane)}/obliterate`],
    ['PUT', `/api/queues/${at(lane)}/promote`],
    ['PUT', `/api/queues/${at(lane)}/clean/wait`],
    ['PUT', `/api/queues/${at(lane)}/${runId}/promote`],
    ['PATCH', `/api/queues/${at(lane)}/${runId}/update-data`],
    ['POST', `/api/queues/${at(lane)}/add`],
    ['PUT', '/api/queues/pause'],
    ['PUT', '/api/queues/bubblewrap/pause'],
    ['PUT', `/api/queues/bubblewrap/${runId}-1/clean`],
  ] as const) {
    const answer = await ask(path, { method, headers: { 'content-type': 'application/json' }, body: '{}' })
    expect([404, 405], `${method} ${path}`).toContain(answer.status)
  }
  expect((await fixture.call('GET', `/v1/runs/${runId}`)).at('run.status')).toBe('queued')
})

test('runs are found by id, task, label and lane, whatever the text holds', async () => {
  const runId = await command({ label: 'büro/100%_<b>' })
  const taskId = (await fixture.call('GET', `/v1/runs/${runId}`)).textAt('run.task_id')
  const search = async (query: string) => (await ask(`/search?q=${encodeURIComponent(query)}`)).text()
  for (const query of [runId, taskId, 'büro', 'büro/100%_<b>']) expect(await search(query), query).toContain(runId)
  for (const query of ['üro', '%', '_', "'; --", '\0', '<script>alert(1)</script>']) {
    const page = await search(query)
    expect(page).not.toContain(runId)
    expect(page).not.toContain('<script>')
  }
  for (const query of [agent.key, 'default/', '/main']) expect(await search(query)).toContain(at(lane))
  expect(await search('büro')).toContain('büro/100%_&lt;b&gt;')
  const page = await (await ask(`/runs/${runId}`)).text()
  expect(page).toContain('run.queued')
  expect((await ask('/runs/run_00000000000000000000000000')).status).toBe(404)
  expect((await ask('/runs/nonsense')).status).toBe(404)
})

test('logs are the events, and progress is the last that was told', async () => {
  const runId = await command()
  await fixture.database.pool.query(
    `WITH r AS (UPDATE runs SET last_seq = 3 WHERE id = $1)
     INSERT INTO noted_events (run_id, seq, type, data) VALUES ($1, 2, 'agent.progress', '{"percent": 10}'), ($1, 3, 'agent.progress', '{"percent": 40, "text": "half"}')`,
    [runId],
  )
  const logs = z.array(z.string()).parse(await (await ask(`/api/queues/${at(lane)}/${runId}/logs`)).json())
  expect(logs).toHaveLength(3)
  expect(logs[2]).toContain('agent.progress {"text":"half","percent":40}')
  const job = z.object({
    job: z.object({ progress: z.number(), externalUrl: z.object({ href: z.string() }) }),
    status: z.string(),
  })
  expect(job.parse(await (await ask(`/api/queues/${at(lane)}/${runId}`)).json())).toMatchObject({
    job: { progress: 40, externalUrl: { href: `/admin/queues/runs/${runId}` } },
    status: 'waiting',
  })
})
