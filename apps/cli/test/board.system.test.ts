import { existsSync } from 'node:fs'
import { type FleetClient, sized, startFleet, type TestFleet, until } from '@muster/testkit'
import { type Browser, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'

const CHROMIUM = '/usr/bin/chromium'
const ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]
const MANY = sized({ test: 300, prove: 10_000 })
const ROUNDS = sized({ test: 10, prove: 50 })
const missing = !existsSync(CHROMIUM) && process.env['MUSTER_PROVE'] !== '1'

let fleet: TestFleet
let browser: Browser
let page: Page

describe.skipIf(missing)(`the board in a browser (needs ${CHROMIUM}; npm run prove installs it)`, () => {
  beforeAll(async () => {
    fleet = await startFleet({ workers: 2, slots: 2 })
    browser = await chromium.launch({ executablePath: CHROMIUM, args: ARGUMENTS })
    const context = await browser.newContext({
      httpCredentials: { username: 'ops', password: fleet.facts()?.admin_token ?? '' },
    })
    page = await context.newPage()
    page.setDefaultTimeout(20_000)
    await agent('flood', ['/bin/sleep', '0.2'], { lanes: { main: { concurrency: 1 } } })
    await agent('paused', ['/bin/true'], {})
    await agent('fails', ['/bin/false'], {})
    await flood(fleet.client)
  })
  afterAll(async () => {
    await browser?.close()
    await fleet?.[Symbol.asyncDispose]()
  })

  test('anonymous browsers and other sites see nothing', async () => {
    const stranger = await (await browser.newContext()).newPage()
    const answer = await stranger.goto(`${fleet.url}/admin/queues`).catch(() => null)
    expect(answer === null || answer.status() === 401).toBe(true)
    // another origin of the same machine, whose browser knows the password
    const other = fleet.url.replace('127.0.0.1', 'localhost')
    await page.goto(`${fleet.url}/admin/queues`)
    await page.goto(`${other}/livez`)
    const seen = await page.evaluate(async (url) => {
      const read = await fetch(`${url}/admin/queues/api/queues`, { credentials: 'include' }).then(
        (response) => response.text(),
        () => 'refused',
      )
      const changed = await fetch(`${url}/admin/queues/api/queues/default%2Fflood%2Fmain/pause`, {
        method: 'POST',
        mode: 'no-cors',
        credentials: 'include',
      }).then(
        (response) => String(response.status),
        () => 'refused',
      )
      return { read, changed }
    }, fleet.url)
    expect(seen.read).toBe('refused')
    expect(await lanePaused('flood')).toBe(false)
  })

  test('a run is found by its label among many and cancelled', async () => {
    await page.goto(`${fleet.url}/admin/queues`)
    await page.getByText('flood', { exact: true }).first().waitFor()
    await page.goto(`${fleet.url}/admin/queues/search`)
    // the last to be accepted: it waits behind all others
    await page.getByRole('searchbox').fill('needle-0')
    await page.getByRole('button', { name: 'Search' }).click()
    const rows = page.locator('#runs tbody tr')
    expect(await rows.count()).toBe(1)
    const runId = ((await rows.first().locator('a').first().textContent()) ?? '').trim()
    await rows.first().locator('a').first().click()
    await page.getByRole('heading', { name: 'needle-0' }).waitFor()
    await page.locator('button:has(.lucide-trash-2):visible').first().click()
    await confirm()
    await ends(runId, 'cancelled')
    await booksBalance()
  })

  test('a dead letter is requeued from its page', async () => {
    const failed = await submit(fleet.client, { agent: 'fails', label: 'dead letter' })
    await ends(failed, 'failed')
    await page.goto(`${fleet.url}/admin/queues/queue/${encodeURIComponent('default/fails/main')}/${failed}`)
    await page.getByRole('heading', { name: 'dead letter' }).waitFor()
    await page.locator('[class*=jobActions] button:visible').first().click()
    await confirm()
    const taskId = textAt(await fleet.client.get(`/v1/runs/${failed}`), 'run', 'task_id')
    await until(
      async () => textAt(await fleet.client.get(`/v1/tasks/${taskId}`), 'task', 'run_id') !== failed || undefined,
      { deadlineMs: 20_000, what: 'the task to have a new run' },
    )
    await booksBalance()
  })

  test('a lane is paused and resumed from the menu of its queue', async () => {
    await submit(fleet.client, { agent: 'paused', label: 'first' })
    await page.goto(`${fleet.url}/admin/queues/queue/${encodeURIComponent('default/paused/main')}`)
    await menu('Pause')
    await until(async () => (await lanePaused('paused')) || undefined, {
      deadlineMs: 20_000,
      what: 'the lane to be paused',
    })
    const held = await submit(fleet.client, { agent: 'paused', label: 'held' })
    await booksBalance()
    expect(await statusOf(held)).toBe('queued')
    await menu('Resume')
    await ends(held, 'succeeded')
    await booksBalance()
  })

  test('the queues of the pools are there to look at, and offer nothing', async () => {
    await page.goto(`${fleet.url}/admin/queues/queue/bubblewrap`)
    await page.getByText('bubblewrap', { exact: true }).first().waitFor()
    expect(await page.locator('main button:has(.lucide-ellipsis-vertical):visible').count()).toBe(0)
    expect((await act('PUT', 'bubblewrap', '/pause')).status).toBe(405)
  })

  test('whatever is done on the board under load, the books balance', async () => {
    const failed: string[] = []
    for (let n = 0; n < ROUNDS; n++)
      failed.push(await submit(fleet.client, { agent: 'fails', label: `under load ${n}` }))
    const { runs } = z
      .object({ runs: z.array(z.object({ id: z.string() })) })
      .parse({ runs: z.object({ data: z.unknown() }).parse((await fleet.client.get('/v1/runs?limit=100')).body).data })
    const answers: number[] = []
    for (const [n, { id }] of runs.entries()) {
      const acts = [
        act('PUT', 'default/flood/main', `/${id}/clean`),
        act('PUT', 'default/fails/main', `/${failed[n % ROUNDS]}/retry`),
        act('PUT', 'default/fails/main', '/retry/failed'),
        act('PUT', 'default/flood/main', n % 2 === 0 ? '/pause' : '/resume'),
      ]
      for (const { status } of await Promise.all(acts)) answers.push(status)
      if (n % 10 === 9) await booksBalance()
    }
    await act('PUT', 'default/flood/main', '/resume')
    expect(answers).toContain(204)
    expect(answers.filter((status) => status >= 500)).toEqual([])
    await booksBalance()
  })
})

/** What the board's page asks its server for a queue. */
function act(method: string, queue: string, path: string): Promise<Response> {
  const password = Buffer.from(`ops:${fleet.facts()?.admin_token ?? ''}`).toString('base64')
  return fetch(`${fleet.url}/admin/queues/api/queues/${encodeURIComponent(queue)}${path}`, {
    method,
    headers: { authorization: `Basic ${password}` },
  })
}

async function menu(item: string): Promise<void> {
  await page.locator('main button:has(.lucide-ellipsis-vertical)').first().click()
  await page.getByRole('menuitem', { name: item }).click()
  await confirm()
}

/** The board asks again before it acts, unless its settings say otherwise. */
async function confirm(): Promise<void> {
  const sure = page.getByRole('button', { name: 'Confirm' })
  await sure.waitFor({ timeout: 2000 }).then(
    () => sure.click(),
    () => undefined,
  )
}

async function agent(key: string, command: readonly string[], limits: object): Promise<void> {
  const made = await fleet.client.post('/v1/agents', { key, config: { runner: 'process', command }, limits })
  expect(made.status).toBe(201)
}

async function flood(client: FleetClient): Promise<void> {
  const numbers = Array.from({ length: MANY }, (_, index) => index)
  const next = async (): Promise<void> => {
    for (let number = numbers.pop(); number !== undefined; number = numbers.pop())
      await submit(client, { agent: 'flood', label: `needle-${number}` })
  }
  await Promise.all(Array.from({ length: 32 }, next))
}

const submit = async (client: FleetClient, command: { agent: string; label: string }): Promise<string> =>
  textAt(
    await client.post('/v1/commands', {
      message: 'go',
      policy: { workspace_access: 'none', retry: { max_attempts: 1 } },
      ...command,
    }),
    'run',
    'id',
  )

const textAt = (answer: { readonly body: unknown }, noun: string, field: string): string =>
  z.record(z.string(), z.unknown()).parse(z.record(z.string(), z.unknown()).parse(answer.body)[noun])[field] as string

const statusOf = async (runId: string): Promise<string> =>
  textAt(await fleet.client.get(`/v1/runs/${runId}`), 'run', 'status')

const ends = (runId: string, status: string): Promise<true> =>
  until(async () => (await statusOf(runId)) === status || undefined, {
    deadlineMs: 30_000,
    what: `${runId} to be ${status}`,
  })

async function lanePaused(key: string): Promise<boolean> {
  const limits = z.object({
    agent: z.object({
      limits: z.object({ lanes: z.record(z.string(), z.object({ paused: z.boolean().optional() })) }),
    }),
  })
  return limits.parse((await fleet.client.get(`/v1/agents/${key}`)).body).agent.limits.lanes['main']?.paused === true
}

async function booksBalance(): Promise<void> {
  const { violations } = z
    .object({ violations: z.array(z.unknown()) })
    .parse((await fleet.admin.get('/v1/ops/invariants')).body)
  expect(violations).toEqual([])
}
