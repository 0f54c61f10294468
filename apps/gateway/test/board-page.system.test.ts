import { once } from 'node:events'
import { existsSync } from 'node:fs'
import type { Server } from 'node:http'
import { createAdaptorServer } from '@hono/node-server'
import { type Browser, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Driver } from './drive-run.ts'
import { ADMIN_TOKEN, type Fixture, openFixture } from './gateway-fixture.ts'

const CHROMIUM = '/usr/bin/chromium'
const ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]
const HOSTILE = `<img src=x onerror="document.title='broken'"><script>document.title='broken'</script>'"\`\${x}`
const missing = !existsSync(CHROMIUM) && process.env['MUSTER_PROVE'] !== '1'

let fixture: Fixture
let server: Server
let url: string
let browser: Browser
let page: Page
let agent: string
const complaints: string[] = []

describe.skipIf(missing)(`what the board's page offers (needs ${CHROMIUM})`, () => {
  beforeAll(async () => {
    fixture = await openFixture()
    agent = (await fixture.agent()).key
    server = createAdaptorServer({ fetch: fixture.gateway.app.fetch }) as Server
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    url = `http://127.0.0.1:${typeof address === 'object' ? (address?.port ?? 0) : 0}/admin/queues`
    browser = await chromium.launch({ executablePath: CHROMIUM, args: ARGUMENTS })
    const context = await browser.newContext({ httpCredentials: { username: 'ops', password: ADMIN_TOKEN } })
    page = await context.newPage()
    page.setDefaultTimeout(20_000)
    page.on('console', (said) => said.type() === 'error' && complaints.push(`${said.text()} ${said.location().url}`))
    page.on('pageerror', (error) => complaints.push(error.message))
  })
  afterAll(async () => {
    await browser?.close()
    server?.closeAllConnections()
    server?.close()
    await fixture?.close()
  })

  test('in each state the buttons of a run are those that do something', async () => {
    const driver = await Driver.register(fixture.database)
    await command({ label: 'waits' })
    await command({ label: 'is delayed', delay_ms: 600_000 })
    await driver.claim(await command({ label: 'is active' }))
    const done = await command({ label: 'is done' })
    await driver.succeed(done, await driver.claim(done), 'ok')
    const failed = await command({ label: 'has failed' })
    await driver.fail(failed, await driver.claim(failed))
    expect(await buttons('waiting', 'waits')).toEqual(['lucide-trash-2'])
    expect(await buttons('delayed', 'is delayed')).toEqual(['lucide-trash-2'])
    expect(await buttons('active', 'is active')).toEqual([])
    expect(await buttons('completed', 'is done')).toEqual([])
    expect(await buttons('failed', 'has failed')).toEqual(['lucide-refresh-cw'])
  })

  test('the menu of all queues offers nothing that is refused', async () => {
    await command()
    const lane = encodeURIComponent(`default/${agent}/main`)
    for (const wanted of ['pause', 'resume']) {
      await page.goto(url)
      await page.getByText(agent).first().waitFor()
      await page.locator('main button:has(.lucide-ellipsis-vertical):visible').first().click()
      await page.getByRole('menuitem', { name: 'Sort by' }).waitFor()
      expect(await page.getByRole('menuitem', { name: /(Pause|Resume) all/ }).count()).toBe(0)
      const acted = await page.request.put(`${url}/api/queues/${lane}/${wanted}`)
      expect(acted.status()).toBe(200)
    }
  })

  test('a run that is active is cancelled from its page', async () => {
    const driver = await Driver.register(fixture.database)
    const runId = await command()
    await driver.claim(runId)
    await page.goto(`${url}/runs/${runId}`)
    await page.getByText('Cancel', { exact: true }).click()
    await page.getByRole('button', { name: 'Cancel the run' }).click()
    await page.waitForURL(`${url}/runs/${runId}`)
    expect((await fixture.call('GET', `/v1/runs/${runId}`)).at('run.cancel_requested_at')).not.toBeNull()
  })

  test('what a client wrote is text on every page, and no page asks for what its policy forbids', async () => {
    const runId = await command({ label: HOSTILE, message: HOSTILE, metadata: { [HOSTILE]: HOSTILE } })
    const lane = encodeURIComponent(`default/${agent}/main`)
    for (const path of [
      '',
      `/queue/${lane}`,
      `/queue/${lane}/${runId}`,
      `/runs/${runId}`,
      `/search?q=${encodeURIComponent(HOSTILE)}`,
    ]) {
      await page.goto(`${url}${path}`)
      await page
        .getByText(path === '' ? agent : 'onerror')
        .first()
        .waitFor()
      expect(await page.title(), path).not.toBe('broken')
      expect(await page.locator('img[src="x"]').count()).toBe(0)
    }
    expect(complaints).toEqual([])
  })
})

/** The icons of the buttons that a run of that state shows. */
async function buttons(status: string, label: string): Promise<readonly string[]> {
  await page.goto(`${url}/queue/${encodeURIComponent(`default/${agent}/main`)}?status=${status}`)
  await page.getByText(label, { exact: true }).first().waitFor()
  const icons = page.locator('[class*=jobActions] button:visible svg')
  return icons.evaluateAll((all) => all.map((icon) => icon.getAttribute('class')?.split(' ').at(-1) ?? ''))
}

const command = async (body: object = {}): Promise<string> =>
  (await fixture.call('POST', '/v1/commands', { body: { agent, message: 'hello', ...body } })).textAt('run.id')
