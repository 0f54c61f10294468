import { ROUTES } from '@muster/contracts'
import { Hono } from 'hono'
import { expect, test } from 'vitest'
import { mountDocs } from '../src/docs/mount-docs.ts'

const app = new Hono()
mountDocs(app)

test('the page shows every route, field by field, and loads nothing', async () => {
  const answer = await app.request('/docs')
  const page = await answer.text()
  expect(answer.status).toBe(200)
  expect(answer.headers.get('content-type')).toContain('text/html')
  for (const { operationId, path, method } of Object.values(ROUTES)) {
    expect(page).toContain(`id="${operationId}"`)
    expect(page).toContain(`<span class="method">${method}</span> <code>${path}</code>`)
  }
  for (const words of ['idempotency_key', 'session_key', 'agent_contract', 'Idempotency-Key', 'text/event-stream'])
    expect(page).toContain(words)
  expect(page).not.toMatch(/<script|<link|<img|src=|url\(/)
})

test('no bound, preset or field of an object with free names is left out', async () => {
  const page = await (await app.request('/docs')).text()
  const parameter = page.slice(page.indexOf('id="listTasks"'))
  expect(parameter).toMatch(/<code>limit<\/code>[^\n]*≥ 1, ≤ \d+[^\n]*default <code>\d+<\/code>/)
  const agent = page.slice(
    page.indexOf('id="createAgent"'),
    page.indexOf('</section>', page.indexOf('id="createAgent"')),
  )
  const lanes = agent.slice(agent.indexOf('<code>lanes</code>'))
  expect(lanes).toMatch(/^<code>lanes<\/code>[^\n]*<i>object<\/i> of <i>object<\/i> by name <small>[^<]*a-z0-9/)
  for (const field of ['concurrency', 'weight', 'paused'])
    expect(lanes.slice(0, 1500)).toContain(`<code>${field}</code>`)
  expect(agent).toMatch(/<code>cpu<\/code>[^\n]*&gt; 0/)
  expect(agent).toMatch(/<code>command<\/code>[^\n]*at least 1, at most \d+/)
})

test('every link of the page leads somewhere', async () => {
  const page = await (await app.request('/docs')).text()
  const ids = new Set(Array.from(page.matchAll(/ id="([^"]+)"/g), ([, id]) => id))
  const wanted = Array.from(page.matchAll(/href="#([^"]+)"/g), ([, id]) => id)
  expect(wanted.length).toBeGreaterThan(40)
  expect(wanted.filter((id) => !ids.has(id))).toEqual([])
  expect(ids.size).toBe(Array.from(page.matchAll(/ id="([^"]+)"/g)).length)
})
