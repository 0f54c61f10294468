import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Driver } from './drive-run.ts'
import { type Fixture, openFixture } from './gateway-fixture.ts'

let fixture: Fixture
const agents: { id: string; key: string }[] = []
const tasks: { task: string; run: string; at: string; session: string }[] = []
beforeAll(async () => {
  fixture = await openFixture()
  agents.push(await fixture.agent(), await fixture.agent())
  for (let index = 0; index < 25; index++) {
    const sent = await fixture.call('POST', '/v1/commands', {
      body: {
        agent: agents[index % 2]?.key,
        message: `${index}`,
        lane: index % 3 === 0 ? 'cron' : 'main',
        label: `l${index % 5}`,
        session_key: `s${index % 4}`,
      },
    })
    tasks.push({
      task: sent.textAt('task.id'),
      run: sent.textAt('run.id'),
      at: sent.textAt('task.created_at'),
      session: sent.textAt('session.id'),
    })
  }
})
afterAll(() => fixture.close())

async function all(path: string): Promise<string[]> {
  const ids: string[] = []
  for (let cursor = ''; ; ) {
    const page = await fixture.call('GET', `${path}${cursor}`)
    const data = page.at('data')
    if (!Array.isArray(data)) throw new Error(`no list: ${page.text}`)
    ids.push(...data.map((item) => item.id ?? item.key ?? item.number))
    expect(page.at('has_more')).toBe(page.at('next_cursor') !== null)
    if (page.at('next_cursor') === null) return ids
    cursor = `&cursor=${page.textAt('next_cursor')}`
  }
}

const newestFirst = (ids: readonly string[]): string[] => [...ids].sort().reverse()
const runsWhere = (keep: (index: number) => boolean): string[] =>
  newestFirst(tasks.filter((_, index) => keep(index)).map((each) => each.run))

describe('pages', () => {
  for (const limit of [1, 7, 25, 200])
    test(`by ${limit}: every item once, newest first`, async () => {
      expect(await all(`/v1/tasks?limit=${limit}`)).toEqual(newestFirst(tasks.map((each) => each.task)))
      expect(await all(`/v1/runs?limit=${limit}`)).toEqual(runsWhere(() => true))
    })

  test('what is added meanwhile neither repeats nor hides an item', async () => {
    const first = await fixture.call('GET', '/v1/agents?limit=1')
    const added = await fixture.agent()
    const rest = await all(`/v1/agents?limit=1&cursor=${first.textAt('next_cursor')}`)
    expect(rest).toEqual([agents[0]?.id])
    expect(rest).not.toContain(added.id)
  })

  test('a cursor belongs to its kind of list', async () => {
    const runs = await fixture.call('GET', '/v1/runs?limit=1')
    const reply = await fixture.call('GET', `/v1/tasks?cursor=${runs.textAt('next_cursor')}`)
    expect([reply.status, reply.at('errors.0.pointer')]).toEqual([400, 'query/cursor'])
  })

  test('a cursor of numbers beyond those that the lists hold is refused', async () => {
    const cursorOf = (number: number): string => Buffer.from(`${number}`).toString('base64url')
    for (const list of ['attempts', 'snapshots']) {
      const path = `/v1/runs/${tasks[0]?.run}/${list}`
      expect((await fixture.call('GET', `${path}?cursor=${cursorOf(2_147_483_647)}`)).status).toBe(200)
      for (const number of [2_147_483_648, 9_999_999_999]) {
        const reply = await fixture.call('GET', `${path}?cursor=${cursorOf(number)}`)
        expect([reply.status, reply.at('errors.0.pointer')]).toEqual([400, 'query/cursor'])
      }
    }
  })
})

describe('filters', () => {
  test('agent by id or key, lane, label, session by id or key, and all of them together', async () => {
    for (const name of [agents[0]?.id, agents[0]?.key])
      expect(await all(`/v1/runs?agent=${name}&limit=9`)).toEqual(runsWhere((index) => index % 2 === 0))
    expect(await all('/v1/runs?lane=cron&limit=3')).toEqual(runsWhere((index) => index % 3 === 0))
    expect(await all('/v1/runs?label=l2&limit=3')).toEqual(runsWhere((index) => index % 5 === 2))
    expect(await all('/v1/runs?session=s1&limit=3')).toEqual(runsWhere((index) => index % 4 === 1))
    expect(await all(`/v1/runs?session=${tasks[1]?.session}&limit=3`)).toEqual(runsWhere((index) => index % 4 === 1))
    expect(await all(`/v1/runs?agent=${agents[1]?.key}&lane=main&label=l0&session=s1&limit=3`)).toEqual(
      runsWhere((index) => index % 2 === 1 && index % 3 !== 0 && index % 5 === 0 && index % 4 === 1),
    )
    expect(await all('/v1/tasks?label=none&limit=3')).toEqual([])
  })

  test('status', async () => {
    const driver = await Driver.register(fixture.database)
    const first = tasks[0]
    if (first === undefined) throw new Error('no task')
    const generation = await driver.claim(first.run)
    expect(await all('/v1/runs?status=running&limit=3')).toEqual([first.run])
    expect(await all('/v1/tasks?status=running&limit=3')).toEqual([first.task])
    await driver.fail(first.run, generation)
    expect(await all('/v1/runs?status=failed&limit=3')).toEqual([first.run])
    expect(await all('/v1/tasks?status=dead_letter&limit=3')).toEqual([first.task])
    expect(await all('/v1/runs?status=queued&limit=30')).toHaveLength(24)
  })

  test('time: from one on, before another', async () => {
    const middle = tasks[10]?.at ?? ''
    const later = await all(`/v1/tasks?created_after=${middle}&limit=200`)
    const earlier = await all(`/v1/tasks?created_before=${middle}&limit=200`)
    expect(newestFirst([...later, ...earlier])).toEqual(newestFirst(tasks.map((each) => each.task)))
    expect(later).toContain(tasks[24]?.task)
    expect(earlier).toContain(tasks[0]?.task)
    const runs = [
      ...(await all(`/v1/runs?created_after=${middle}&limit=200`)),
      ...(await all(`/v1/runs?created_before=${middle}&limit=200`)),
    ]
    expect(newestFirst(runs)).toEqual(runsWhere(() => true))
    expect(await all('/v1/sessions?created_before=2000-01-01T00:00:00Z&limit=3')).toEqual([])
  })
})

describe('what belongs to a run', () => {
  test('attempts and snapshots are listed newest first, page by page', async () => {
    const driver = await Driver.register(fixture.database)
    const runId = tasks[1]?.run ?? ''
    const generation = await driver.claim(runId)
    await driver.save(runId, generation, { step: 1 })
    await driver.save(runId, generation, { step: 2 })
    await driver.succeed(runId, generation, 'done')
    const snapshots = await fixture.call('GET', `/v1/runs/${runId}/snapshots?limit=2`)
    expect(snapshots.at('data')).toMatchObject([
      { seq: 5, status: 'succeeded', state: null },
      { seq: 4, state: { step: 2 } },
    ])
    const rest = await fixture.call('GET', `/v1/runs/${runId}/snapshots?cursor=${snapshots.textAt('next_cursor')}`)
    expect(rest.at('data')).toMatchObject([
      { seq: 3, state: { step: 1 } },
      { seq: 2, status: 'running' },
      { seq: 1, status: 'queued' },
    ])
    const attempts = await fixture.call('GET', `/v1/runs/${runId}/attempts`)
    expect(attempts.at('data')).toMatchObject([
      { number: 1, status: 'succeeded', node_id: driver.nodeId, runtime: 'bubblewrap', exit_code: 0 },
    ])
  })

  test('sessions tell their current run and how many wait', async () => {
    const list = await fixture.call('GET', '/v1/sessions?session=s2')
    const id = list.textAt('data.0.id')
    expect((await fixture.call('GET', `/v1/sessions?session=${id}`)).at('data')).toEqual(list.at('data'))
    expect(list.at('data')).toHaveLength(1)
    expect(list.at('data.0')).toMatchObject({ key: 's2', current_run_id: tasks[2]?.run, waiting: 6 })
  })
})
