import { fleetClient, startFleet, until } from '@muster/testkit'
import { expect, test } from 'vitest'
import { Books } from './load/books.ts'
import { holdablePort } from './load/holdable-port.ts'
import { startSecondGateway } from './load/second-gateway.ts'

const HOSTILE_KEYS = [
  'plain',
  'a:b',
  '*',
  '{muster}',
  '💥 key',
  'line\nbreak',
  '__proto__',
  'constructor',
  '../..',
  "'; DROP TABLE tasks; --",
  'x'.repeat(255),
]

test('one idempotency key sent by many clients over two gateways makes one task; with another body it is refused', async () => {
  await using fleet = await startFleet({ workers: 1, slots: 2 })
  const facts = fleet.facts()
  if (facts === null) throw new Error('not ready')
  await using second = await startSecondGateway(facts)
  const other = fleetClient(second.url, facts.api_key)
  for (const key of HOSTILE_KEYS) {
    const command = { agent: 'echo', message: 'once', idempotency_key: key }
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, n) => (n % 2 === 0 ? fleet.client : other).post('/v1/commands', command)),
    )
    const tasks = new Set(answers.map((answer) => (answer.body as { task: { id: string } }).task.id))
    expect(tasks.size, key).toBe(1)
    expect(answers.map((answer) => answer.status).toSorted()).toEqual([...Array(49).fill(200), 202])
    expect(answers.filter((answer) => (answer.body as { deduplicated: boolean }).deduplicated)).toHaveLength(49)
    const conflicting = await other.post('/v1/commands', { ...command, message: 'another' })
    expect(conflicting).toMatchObject({ status: 409, body: { code: 'idempotency_conflict' } })
  }
})

test('a client whose gateway died between the commit and the answer finds its task by trying again', async () => {
  await using fleet = await startFleet({ workers: 1, slots: 2 })
  const facts = fleet.facts()
  if (facts === null) throw new Error('not ready')
  const books = new Books(facts.database_url)
  const port = await holdablePort(facts.database_url)
  try {
    await using doomed = await startSecondGateway(facts, { DATABASE_URL: port.url })
    const client = fleetClient(doomed.url, facts.api_key)
    const command = { agent: 'echo', message: 'twice?', idempotency_key: 'lost answer', session_key: 'lost' }
    await client.post('/v1/commands', { ...command, idempotency_key: 'warm' })
    port.holdAnswersOnce(command.idempotency_key)
    const lost = client.post('/v1/commands', command).catch(() => 'no answer')
    const find = () => books.query<{ id: string }>(`SELECT id FROM tasks WHERE idempotency_key = 'lost answer'`)
    const [task] = await until(async () => ((await find()).length > 0 ? find() : undefined), {
      deadlineMs: 10_000,
      what: 'the commit',
    })
    await doomed.kill()
    expect(await lost).toBe('no answer')
    const retry = await fleet.client.post('/v1/commands', command)
    expect(retry).toMatchObject({ status: 200, body: { deduplicated: true, task: { id: task?.id } } })
    await until(async () => ((await books.unfinished()) === 0 ? true : undefined), {
      deadlineMs: 15_000,
      what: 'the run, though nobody offered it',
    })
    expect(await find()).toHaveLength(1)
  } finally {
    await books.close()
    await port.close()
  }
})
