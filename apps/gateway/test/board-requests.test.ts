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
const ask = async (path: string, init: RequestInit = {}): Promise<Response> =>
  fixture.gateway.app.request(`http://muster.test/admin/queues${path}`, {
    ...init,
    headers: { authorization: BASIC, ...init.headers },
  })
const put = (path: string, headers: Record<string, string> = {}) =>
  ask(`/api/queues/${path}`, { method: 'PUT', headers })
const at = (name: string) => encodeURIComponent(name)
const QUEUES = z.object({
  queues: z.array(
    z.object({
      name: z.string(),
      counts: z.record(z.string(), z.number()),
      pagination: z.object({ pageCount: z.number() }),
      jobs: z.array(z.object({ id: z.string(), timestamp: z.number(), delay: z.number() })),
    }),
  ),
})
const shown = async (query: string, name = lane) => {
  const answer = await ask(`/api/queues?activeQueue=${at(name)}&${query}`)
  return QUEUES.parse(await answer.json()).queues.find((queue) => queue.name === name)
}
const command = async (body: object = {}): Promise<string> =>
  (await fixture.call('POST', '/v1/commands', { body: { agent: agent.key, message: 'hello', ...body } })).textAt(
    'run.id',
  )
const deadLetter = async (driver: Driver, body: object): Promise<string> => {
  const runId = await command(body)
  await driver.fail(runId, await driver.claim(runId))
  return runId
}
const statusOf = async (runId: string) => (await fixture.call('GET', `/v1/runs/${runId}`)).at('run.status')
const taskOf = async (runId: string) => (await fixture.call('GET', `/v1/runs/${runId}`)).textAt('run.task_id')

test('a name that is no lane, and an id that is no run, is not there', async () => {
  const runId = await command()
  for (const name of [
    `default/${agent.key}`,
    `default/${agent.key}/`,
    `default/${agent.key}/main/x`,
    `default/${agent.key}/__proto__`,
    `default/${agent.key}/NO LANE`,
    `default/${agent.key}/ma\0in`,
    'default//main',
    `nowhere/${agent.key}/main`,
    '%zz/a/b',
    '__proto__',
    '🦀',
    '<b>',
  ])
    for (const what of ['pause', `${runId}/clean`, 'retry/failed'])
      expect((await put(`${at(name)}/${what}`)).status, `${name} ${what}`).toBe(404)
  expect((await fixture.call('GET', `/v1/agents/${agent.key}`)).at('agent.limits.lanes')).toEqual({})
  expect(await statusOf(runId)).toBe('queued')
  for (const id of ['run_\0', '__proto__', runId.toUpperCase(), `${runId} `, "1' or '1'='1"]) {
    expect((await ask(`/api/queues/${at(lane)}/${at(id)}`)).status, id).toBe(404)
    expect(await (await ask(`/api/queues/${at(lane)}/${at(id)}/logs`)).json()).toEqual([])
    expect((await put(`${at(lane)}/${at(id)}/clean`)).status, id).toBe(404)
  }
})

test('a query that makes no sense shows the queues without jobs', async () => {
  for (const name of ['%zz', '%zz/a/b', 'a\0/b/c', '__proto__'])
    for (const path of [`/api/queues?activeQueue=${at(name)}`, `/api/job-schedulers?queueName=${at(name)}`])
      expect((await ask(path)).status, path).toBe(200)
  await command()
  for (const name of [lane, 'bubblewrap'])
    for (const query of ['page=1e308&jobsPerPage=100', 'page=1e21', 'page=99999999', 'jobsPerPage=1e308&page=2']) {
      const found = await shown(`status=waiting&${query}`, name)
      expect(found?.jobs, `${name} ${query}`).toEqual([])
    }
})

test('every run that is counted is on one of the pages, however many a page is asked to hold', async () => {
  const busy = (await fixture.agent()).key
  const commands = Array.from({ length: 120 }, () => ({ agent: busy, message: 'hello' }))
  expect((await fixture.call('POST', '/v1/commands/batch', { body: { commands } })).status).toBeLessThan(300)
  const name = `default/${busy}/main`
  for (const jobsPerPage of ['7', '100', '119', '300', '1e308']) {
    const first = await shown(`status=waiting&jobsPerPage=${jobsPerPage}`, name)
    const seen = new Set<string>()
    for (let page = 1; page <= (first?.pagination.pageCount ?? 0); page++)
      for (const { id } of (await shown(`status=waiting&jobsPerPage=${jobsPerPage}&page=${page}`, name))?.jobs ?? [])
        seen.add(id)
    expect([jobsPerPage, first?.counts['waiting'], seen.size]).toEqual([jobsPerPage, 120, 120])
  }
})

test('a pool shows jobs and none of its own keys', async () => {
  await fixture.gate.queues()[0]?.waitUntilReady()
  for (const id of ['meta', 'events', 'wait', 'stalled-check', '0:1']) {
    expect((await ask(`/api/queues/bubblewrap/${at(id)}`)).status, id).toBe(404)
    expect((await ask(`/api/queues/bubblewrap/${at(id)}/flow`)).status, id).toBe(404)
  }
})

test('a request about one lane reads that lane and no other', async () => {
  const runId = await command()
  const texts: string[] = []
  const query = fixture.database.pool.query
  const spied = Object.assign(fixture.database.pool, {
    query: (...values: Parameters<typeof query>) => {
      texts.push(JSON.stringify(values[0]))
      return query.apply(fixture.database.pool, values)
    },
  })
  try {
    await ask(`/api/queues/${at(lane)}/${runId}`)
    expect(texts).toHaveLength(2)
    expect((await ask(`/api/queues/${at(lane)}/obliterate`, { method: 'PUT' })).status).toBe(405)
    expect((await ask('/api/queues/pause', { method: 'PUT' })).status).toBe(405)
    expect(texts).toHaveLength(2)
  } finally {
    Object.assign(spied, { query })
  }
})

test('retrying all goes on past what somebody else requeued meanwhile', async () => {
  const driver = await Driver.register(fixture.database)
  const failed: string[] = []
  for (let n = 0; n < 20; n++) failed.push(await deadLetter(driver, { lane: 'many' }))
  const many = `default/${agent.key}/many`
  const answers = await Promise.all(Array.from({ length: 4 }, () => put(`${at(many)}/retry/failed`)))
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200])
  expect((await shown('status=failed', many))?.counts).toMatchObject({ failed: 0, waiting: 20 })
  for (const runId of failed)
    expect((await fixture.call('GET', `/v1/tasks/${await taskOf(runId)}`)).at('task.status')).toBe('pending')
})

test('retrying all requeues each dead letter once, whatever fails again meanwhile', async () => {
  const driver = await Driver.register(fixture.database)
  const name = `default/${agent.key}/refails`
  for (let n = 0; n < 120; n++) await deadLetter(driver, { lane: 'refails' })
  let retrying = true
  const failing = (async () => {
    while (retrying) {
      const { rows } = await fixture.database.pool.query<{ id: string }>(
        `SELECT id FROM runs WHERE status = 'queued' AND job_name = $1 LIMIT 20`,
        [name],
      )
      for (const { id } of rows) await driver.fail(id, await driver.claim(id))
    }
  })()
  const answer = await put(`${at(name)}/retry/failed`)
  retrying = false
  await failing
  expect(await answer.json()).toEqual({ retried: 120, skipped: 0 })
  const { rows } = await fixture.database.pool.query(
    'SELECT count(*)::integer AS runs, task_id FROM runs WHERE job_name = $1 GROUP BY task_id',
    [name],
  )
  expect(rows.filter(({ runs }) => runs !== 2)).toEqual([])
})

test('retrying all of an agent that was deleted is refused', async () => {
  const key = 'gone'
  await fixture.call('POST', '/v1/agents', { body: { key, config: { runner: 'process', command: ['true'] } } })
  const driver = await Driver.register(fixture.database)
  await deadLetter(driver, { agent: key })
  expect((await fixture.call('DELETE', `/v1/agents/${key}`)).status).toBe(204)
  expect((await put(`${at(`default/${key}/main`)}/retry/failed`)).status).toBe(404)
})

test('what is over and no dead letter is not retried, one or all', async () => {
  const driver = await Driver.register(fixture.database)
  const done = await command({ lane: 'done' })
  await driver.succeed(done, await driver.claim(done), 'ok')
  const name = at(`default/${agent.key}/done`)
  expect((await put(`${name}/retry/completed`)).status).toBe(409)
  expect((await put(`${name}/${done}/retry`)).status).toBe(409)
  expect((await put(`${name}/retry/waiting`)).status).toBe(400)
})

test('a run that is tried again later says when, though it ran before', async () => {
  const runId = await command({ lane: 'again' })
  const { rows } = await fixture.database.pool.query(
    `UPDATE runs SET accepted_at = now() - interval '2 hours', started_at = now() - interval '1 hour', queued_at = now(),
      not_before = now() + interval '10 minutes', scheduled = true WHERE id = $1 RETURNING not_before, accepted_at`,
    [runId],
  )
  const dates = z.object({ not_before: z.date(), accepted_at: z.date() }).parse(rows[0])
  const [job] = (await shown('status=delayed', `default/${agent.key}/again`))?.jobs ?? []
  expect(job?.timestamp).toBe(dates.accepted_at.getTime())
  expect((job?.timestamp ?? 0) + (job?.delay ?? 0)).toBe(dates.not_before.getTime())
})

test('logs that are cut say where the rest is', async () => {
  const runId = await command()
  await fixture.database.pool.query(
    `WITH r AS (UPDATE runs SET last_seq = 1101 WHERE id = $1)
     INSERT INTO noted_events (run_id, seq, type, data) SELECT $1, n, 'agent.progress', '{}' FROM generate_series(2, 1101) n`,
    [runId],
  )
  const logs = z.array(z.string()).parse(await (await ask(`/api/queues/${at(lane)}/${runId}/logs`)).json())
  expect(logs.slice(-2)).toEqual([expect.stringContaining('1000 '), `… more: GET /v1/runs/${runId}/events?after=1000`])
  expect(await (await ask(`/runs/${runId}`)).text()).toMatch(/… more: GET|…<\/pre>/)
})

test('a run that is active is cancelled from its page, and nobody else can', async () => {
  const driver = await Driver.register(fixture.database)
  const runId = await command()
  await driver.claim(runId)
  const page = `/runs/${runId}`
  expect(await (await ask(page)).text()).toContain(`action="/admin/queues${page}/cancel"`)
  const post = (headers: Record<string, string>) => ask(`${page}/cancel`, { method: 'POST', headers })
  expect((await post({ authorization: '' })).status).toBe(401)
  for (const headers of [{ origin: 'https://elsewhere.test' }, { origin: 'null' }, { 'sec-fetch-site': 'same-site' }])
    expect((await post(headers)).status).toBe(403)
  expect((await fixture.call('GET', `/v1/runs/${runId}`)).at('run.cancel_requested_at')).toBeNull()
  const done = await post({ origin: 'http://muster.test' })
  expect([done.status, done.headers.get('location')]).toEqual([303, `/admin/queues${page}`])
  expect((await fixture.call('GET', `/v1/runs/${runId}`)).at('run.cancel_requested_at')).not.toBeNull()
  const over = await command()
  await fixture.call('POST', `/v1/runs/${over}/cancel`, { body: {} })
  expect(await (await ask(`/runs/${over}`)).text()).not.toContain('<form method="post"')
  expect((await ask(`/runs/${over}/cancel`, { method: 'POST' })).status).toBe(303)
  expect((await ask('/runs/run_00000000000000000000000000/cancel', { method: 'POST' })).status).toBe(404)
  expect((await ask('/runs/nonsense/cancel', { method: 'POST' })).status).toBe(404)
})

test('whatever is asked and answered, nobody keeps or frames it, and without the password there is only 401', async () => {
  const paths = [
    '',
    '/',
    '/api/queues',
    `/api/queues/${at(lane)}/pause`,
    '/static/js/none.js',
    '/runs/nonsense',
    '/runs/x/cancel',
    '/search',
  ]
  for (const path of paths)
    for (const method of ['GET', 'HEAD', 'OPTIONS', 'POST', 'PUT', 'PATCH', 'DELETE']) {
      const stranger = await ask(path, { method, headers: { authorization: '' } })
      expect(stranger.status, `${method} ${path}`).toBe(401)
      const known = path.endsWith('/pause') ? stranger : await ask(path, { method })
      for (const answer of [stranger, known]) {
        expect(answer.headers.get('cache-control'), `${method} ${path}`).toBe('no-store')
        expect(answer.headers.get('content-security-policy'), `${method} ${path}`).toContain("frame-ancestors 'none'")
        expect(answer.headers.get('set-cookie')).toBeNull()
      }
    }
})

test('a host that names the port of its scheme is the same place, another port is not', async () => {
  const status = async (host: string, origin: string) => (await put('x/pause', { host, origin })).status
  expect(await status('muster.test:80', 'http://muster.test')).toBe(404)
  expect(await status('muster.test:443', 'https://muster.test')).toBe(404)
  expect(await status('MUSTER.test', 'http://muster.test')).toBe(404)
  for (const [host, origin] of [
    ['muster.test:443', 'http://muster.test'],
    ['muster.test', 'http://muster.test:8080'],
    ['muster.test', 'null'],
    ['muster.test', 'file://'],
    ['muster.test', 'http://muster.test.elsewhere.test'],
    ['', 'http://muster.test'],
    ['a b', 'http://muster.test'],
  ] as const)
    expect(await status(host, origin), `${host} ${origin}`).toBe(403)
})
