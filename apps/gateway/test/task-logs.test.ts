import { appendEvents } from '@muster/store'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Driver } from './drive-run.ts'
import { type Fixture, openFixture, type Reply } from './gateway-fixture.ts'

let fixture: Fixture
let agent: string
let driver: Driver
beforeAll(async () => {
  fixture = await openFixture()
  agent = (await fixture.agent()).key
  driver = await Driver.register(fixture.database)
})
afterAll(() => fixture.close())

async function send(): Promise<{ task: string; run: string }> {
  const sent = await fixture.call('POST', '/v1/commands', { body: { agent, message: 'x' } })
  return { task: sent.textAt('task.id'), run: sent.textAt('run.id') }
}
const logs = (task: string, query = ''): Promise<Reply> => fixture.call('GET', `/v1/tasks/${task}/logs${query}`)

function textsOf(page: Reply): string[] {
  const data = page.at('data')
  if (!Array.isArray(data)) throw new Error(`no logs: ${page.text}`)
  return data.map((line) => line.text)
}

/** Every page from a place on. */
async function rest(
  task: string,
  limit: number,
  from: string | null = null,
): Promise<{ texts: string[]; next: string }> {
  const texts: string[] = []
  for (let after = from; ; ) {
    const page = await logs(task, `?limit=${limit}${after === null ? '' : `&after=${after}`}`)
    texts.push(...textsOf(page))
    after = page.textAt('next_after')
    if (page.at('has_more') === false) return { texts, next: after }
  }
}

test('the lines of all runs come in order, page by page, and what comes later is found from the last place', async () => {
  const { task, run } = await send()
  const first = await logs(task)
  expect(first.at('data')).toEqual([])
  const generation = await driver.claim(run)
  await driver.print(run, generation, ['a1', 'a2'])
  await driver.say(run, generation, ['not a log line'])
  await driver.print(run, generation, ['a3'])
  const meanwhile = await rest(task, 2)
  expect(meanwhile.texts).toEqual(['a1', 'a2', 'a3'])
  await driver.fail(run, generation)
  const requeued = await fixture.call('POST', `/v1/tasks/${task}/requeue`)
  const second = requeued.textAt('task.run_id')
  const again = await driver.claim(second)
  await driver.print(second, again, ['b1', 'b2'])
  for (const limit of [1, 2, 3, 5, 1000])
    expect((await rest(task, limit)).texts).toEqual(['a1', 'a2', 'a3', 'b1', 'b2'])
  const later = await rest(task, 1, meanwhile.next)
  expect(later.texts).toEqual(['b1', 'b2'])
  await driver.succeed(second, again, 'done')
  expect((await rest(task, 1, later.next)).texts).toEqual([])
  expect((await logs(task, '?limit=1')).at('data')).toMatchObject([
    { run_id: run, attempt: 1, seq: 3, stream: 'stdout', text: 'a1' },
  ])
})

test('a page with room for exactly what there is says that there is no more', async () => {
  const { task, run } = await send()
  await driver.print(run, await driver.claim(run), ['1', '2', '3'])
  expect((await logs(task, '?limit=3')).at('has_more')).toBe(false)
  expect((await logs(task, '?limit=2')).at('has_more')).toBe(true)
})

test('one page looks at a bounded number of events and still misses no line', async () => {
  const { task, run } = await send()
  const generation = await driver.claim(run)
  const deltas = Array.from({ length: 6000 }, () => ({ type: 'agent.delta', data: { text: 'x' } }) as const)
  await appendEvents(fixture.database.pool, [{ runId: run, generation, flush: 1, events: deltas }])
  const end = { type: 'agent.log', data: { stream: 'stderr', text: 'at last' } } as const
  await appendEvents(fixture.database.pool, [{ runId: run, generation, flush: 2, events: [end] }])
  const first = await logs(task)
  expect([first.at('data'), first.at('has_more'), first.at('next_after')]).toEqual([[], true, `${run}.5000`])
  expect((await rest(task, 10)).texts).toEqual(['at last'])
})

test('more runs than one page looks at are read to the last', async () => {
  const { task } = await send()
  const expected: string[] = []
  for (let index = 0; index < 23; index++) {
    const run = (await fixture.call('GET', `/v1/tasks/${task}`)).textAt('task.run_id')
    const generation = await driver.claim(run)
    await driver.print(run, generation, [`${index}`])
    expected.push(`${index}`)
    await driver.fail(run, generation)
    await fixture.call('POST', `/v1/tasks/${task}/requeue`)
  }
  for (const limit of [7, 1000]) expect((await rest(task, limit)).texts).toEqual(expected)
})

test('a place that is none, or of another task, is refused with its pointer; so is a task of another workspace', async () => {
  const one = await send()
  const other = await send()
  for (const after of [
    '',
    '1',
    `${one.run}`,
    `${one.run}.`,
    `${one.run}.-1`,
    `${one.run}.99999999999`,
    `${other.run}.1`,
    '%F0%9F%98%80.1',
    'a%00.1',
  ]) {
    const refused = await logs(one.task, `?after=${after}`)
    expect([after, refused.status, refused.at('errors.0.pointer')]).toEqual([after, 400, 'query/after'])
  }
  const { secret } = await fixture.workspace()
  expect((await fixture.call('GET', `/v1/tasks/${one.task}/logs`, { key: secret })).status).toBe(404)
})
