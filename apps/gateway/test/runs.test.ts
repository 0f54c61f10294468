import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Driver } from './drive-run.ts'
import { ADMIN_TOKEN, type Fixture, openFixture, type Reply } from './gateway-fixture.ts'

let fixture: Fixture
let driver: Driver
beforeAll(async () => {
  fixture = await openFixture()
  driver = await Driver.register(fixture.database)
})
afterAll(() => fixture.close())

async function accepted(fields: object = {}): Promise<{ task: string; run: string; reply: Reply }> {
  const agent = await fixture.agent()
  const reply = await fixture.call('POST', '/v1/commands', { body: { agent: agent.key, message: 'm', ...fields } })
  return { task: reply.textAt('task.id'), run: reply.textAt('run.id'), reply }
}

const actions = (reply: Reply): unknown => {
  const next = reply.at('agent_contract.next_actions')
  return Array.isArray(next) ? next.map((each) => each.action) : next
}

describe('cancel', () => {
  test('a queued run ends at once, by its own id or its task; again it is 200 and unchanged', async () => {
    for (const path of [
      (ids: { run: string }) => `/v1/runs/${ids.run}/cancel`,
      (ids: { task: string }) => `/v1/tasks/${ids.task}/cancel`,
    ]) {
      const ids = await accepted()
      const first = await fixture.call('POST', path(ids), { body: { reason: 'not needed' } })
      expect(first.status).toBe(202)
      const run = await fixture.call('GET', `/v1/runs/${ids.run}`)
      expect(run.at('run')).toMatchObject({
        status: 'cancelled',
        failure: { code: 'cancelled', message: 'not needed' },
      })
      const again = await fixture.call('POST', path(ids))
      expect(again.status).toBe(200)
      expect((await fixture.call('GET', `/v1/runs/${ids.run}`)).text).toBe(run.text)
    }
  })

  test('a running run is asked to: 202, and the wish can be seen', async () => {
    const ids = await accepted()
    await driver.claim(ids.run)
    const reply = await fixture.call('POST', `/v1/runs/${ids.run}/cancel`)
    expect([reply.status, reply.at('run.status')]).toEqual([202, 'running'])
    expect(reply.at('run.cancel_requested_at')).toBeTypeOf('string')
    const events = await fixture.call('GET', `/v1/runs/${ids.run}/events?after=2`)
    expect(events.at('data')).toMatchObject([{ seq: 3, type: 'run.cancel_requested' }])
  })

  test('a run that ends while it is asked to is cancelled, and its attempt is no try', async () => {
    const ids = await accepted()
    const generation = await driver.claim(ids.run)
    await fixture.call('POST', `/v1/runs/${ids.run}/cancel`)
    await driver.succeed(ids.run, generation, 'out')
    const run = await fixture.call('GET', `/v1/runs/${ids.run}`)
    expect(run.at('run')).toMatchObject({ status: 'cancelled', attempt_count: 0, output: null })
    expect((await fixture.call('GET', `/v1/runs/${ids.run}/attempts`)).at('data')).toMatchObject([
      { status: 'cancelled' },
    ])
  })

  test('a run that ended stays as it ended: 200', async () => {
    const ids = await accepted()
    await driver.succeed(ids.run, await driver.claim(ids.run), 'out')
    const reply = await fixture.call('POST', `/v1/tasks/${ids.task}/cancel`)
    expect([reply.status, reply.at('task.status'), reply.at('task.output')]).toEqual([200, 'completed', 'out'])
  })
})

describe('requeue', () => {
  test('a dead letter gets a new run, and the old one stays', async () => {
    const ids = await accepted()
    await driver.fail(ids.run, await driver.claim(ids.run))
    expect((await fixture.call('GET', `/v1/tasks/${ids.task}`)).at('task.status')).toBe('dead_letter')
    const reply = await fixture.call('POST', `/v1/tasks/${ids.task}/requeue`)
    expect(reply.status).toBe(202)
    expect(reply.at('task')).toMatchObject({ status: 'pending', failure: null })
    expect(reply.textAt('task.run_id')).not.toBe(ids.run)
    expect(reply.headers.get('location')).toBe(`/v1/runs/${reply.textAt('task.run_id')}`)
    expect((await fixture.call('GET', `/v1/runs/${ids.run}`)).at('run.status')).toBe('failed')
  })

  test('the new run is by the agent as it is now, whose fault may be mended, and is all else that the command said', async () => {
    const agent = await fixture.agent()
    const body = { agent: agent.key, message: 'm', priority: 70, timeout_ms: 9000, metadata: { a: 1 } }
    const first = await fixture.call('POST', '/v1/commands', { body })
    await driver.fail(first.textAt('run.id'), await driver.claim(first.textAt('run.id')))
    await fixture.call('PATCH', `/v1/agents/${agent.key}`, { body: { config: { command: ['mended'] } } })
    const requeued = await fixture.call('POST', `/v1/tasks/${first.textAt('task.id')}/requeue`)
    const run = await fixture.call('GET', `/v1/runs/${requeued.textAt('task.run_id')}`)
    expect(run.at('run')).toMatchObject({
      agent_version: 2,
      priority: 70,
      timeout_ms: 9000,
      metadata: { a: 1 },
      policy: first.at('run.policy'),
    })
    expect((await fixture.call('GET', `/v1/runs/${first.textAt('run.id')}`)).at('run.agent_version')).toBe(1)
  })

  test('anything else is 409 invalid_transition, and leads to the task', async () => {
    const ids = await accepted()
    const reply = await fixture.call('POST', `/v1/tasks/${ids.task}/requeue`)
    expect([reply.status, reply.at('code')]).toEqual([409, 'invalid_transition'])
    expect(reply.at('agent_contract.next_actions')).toMatchObject([
      { action: 'check_task_status', method: 'GET', endpoint: `/v1/tasks/${ids.task}` },
    ])
  })
})

describe('what can be done next', () => {
  test('is told by the state of the task', async () => {
    const ids = await accepted()
    const read = (): Promise<Reply> => fixture.call('GET', `/v1/tasks/${ids.task}`)
    expect(actions(ids.reply)).toEqual(['check_task_status', 'stream_events', 'cancel_task'])
    const generation = await driver.claim(ids.run)
    expect(actions(await read())).toEqual(['check_task_status', 'stream_events', 'cancel_task'])
    await driver.fail(ids.run, generation)
    expect(actions(await read())).toEqual(['requeue_task'])
    expect(actions(await fixture.call('GET', `/v1/runs/${ids.run}`))).toEqual(['requeue_task'])
    await fixture.call('POST', `/v1/tasks/${ids.task}/requeue`)
    await fixture.call('POST', `/v1/tasks/${ids.task}/cancel`)
    expect(actions(await read())).toEqual(['create_task'])
    expect((await read()).at('agent_contract.next_actions.0')).toMatchObject({
      recommended: true,
      method: 'POST',
      endpoint: '/v1/commands',
    })
  })
})

describe('what can be done next, told with a run that its task left behind', () => {
  test('is what the task allows, whatever became of that run', async () => {
    const ids = await accepted()
    await driver.fail(ids.run, await driver.claim(ids.run))
    const requeued = await fixture.call('POST', `/v1/tasks/${ids.task}/requeue`)
    const next = requeued.textAt('task.run_id')
    const told = async (): Promise<unknown[]> => {
      const paths = ['', '/attempts', '/snapshots', '/events', '/explain'].map((part) => `/v1/runs/${ids.run}${part}`)
      const replies = [
        ...(await Promise.all(paths.map((path) => fixture.call('GET', path)))),
        await fixture.call('POST', `/v1/runs/${ids.run}/cancel`),
      ]
      expect(replies.map(({ status }) => status)).toEqual(replies.map(() => 200))
      const contracts = new Set(replies.map((reply) => JSON.stringify(reply.at('agent_contract'))))
      return Array.from(contracts, (text) => JSON.parse(text))
    }
    const ofTask = async (): Promise<unknown[]> => [
      (await fixture.call('GET', `/v1/tasks/${ids.task}`)).at('agent_contract'),
    ]
    expect(await told()).toEqual(await ofTask())
    expect(await told()).toMatchObject([
      { next_actions: [{ action: 'check_task_status' }, { endpoint: `/v1/runs/${next}/events` }, {}] },
    ])
    await driver.succeed(next, await driver.claim(next), 'done')
    expect(await told()).toEqual(await ofTask())
    expect(await told()).toMatchObject([{ next_actions: [{ action: 'create_task' }] }])
  })
})

describe('operators', () => {
  test('a waiting run is explained', async () => {
    const ids = await accepted({ delay_ms: 60_000 })
    const reply = await fixture.call('GET', `/v1/runs/${ids.run}/explain`)
    expect(reply.at('explain')).toMatchObject({ run_id: ids.run, status: 'queued', blocked_by: { kind: 'not_due' } })
    expect(reply.textAt('explain.text')).not.toBe('')
  })

  test('nodes and invariants are told to the admin token', async () => {
    const nodes = await fixture.call('GET', '/v1/nodes?status=active', { key: ADMIN_TOKEN })
    expect(nodes.at('data.0')).toMatchObject({ id: driver.nodeId, pools: { bubblewrap: 4 }, status: 'active' })
    const invariants = await fixture.call('GET', '/v1/ops/invariants', { key: ADMIN_TOKEN })
    expect(invariants.status).toBe(200)
    expect(Array.isArray(invariants.at('violations'))).toBe(true)
  })
})
