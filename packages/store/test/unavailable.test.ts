import { setTimeout as sleep } from 'node:timers/promises'
import { createDatabase } from '@muster/testkit'
import { expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { openPool } from '../src/database.ts'
import { execute } from '../src/statement.ts'
import { transaction } from '../src/transaction.ts'

const openTwo = async (queryMs: number) => {
  const fresh = await createDatabase()
  const open = (ms: number) => openPool({ url: fresh.url, poolSize: 2, onError: () => undefined, queryMs: ms })
  const [ours, other] = [open(queryMs), open(8000)]
  onTestFinished(async () => {
    await Promise.all([ours.end(), other.end()])
    await fresh.drop()
  })
  return { ours, other }
}
const ROW = z.object({})
const unavailable = { code: 'unavailable' }

test('a connection that ends within a transaction fails that transaction alone', async () => {
  const { ours, other } = await openTwo(8000)
  const ended = transaction(ours, async (on) => {
    const { rows } = await on.query('SELECT pg_backend_pid() AS pid')
    await other.query('SELECT pg_terminate_backend($1)', [rows[0].pid])
    await sleep(100)
    await on.query('SELECT 1')
  })
  await expect(ended).rejects.toMatchObject(unavailable)
  expect(await transaction(ours, async (on) => (await on.query('SELECT 1')).rowCount)).toBe(1)
})

test('a statement that nobody waits for any more ends in Postgres too', async () => {
  const { ours, other } = await openTwo(300)
  const late = execute(ours, { name: 'late', text: 'SELECT pg_sleep(20) IS NULL AS late', row: ROW }, [])
  await expect(late).rejects.toMatchObject(unavailable)
  const running = async () =>
    (await other.query(`SELECT FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(20)%' AND state = 'active'`))
      .rowCount
  await expect.poll(running, { timeout: 5000 }).toBe(0)
})

test('a transaction that stands still lets go of its locks', async () => {
  const { ours, other } = await openTwo(300)
  await other.query('CREATE TABLE held (id integer); INSERT INTO held VALUES (1)')
  const still = transaction(ours, async (on) => {
    await on.query('SELECT FROM held FOR UPDATE')
    await sleep(3500)
    await on.query('SELECT 1')
  })
  const free = async () => (await other.query('SELECT FROM held FOR UPDATE SKIP LOCKED')).rowCount
  const [outcome] = await Promise.allSettled([still, expect.poll(free, { timeout: 3200 }).toBe(1)])
  expect(outcome).toMatchObject({ status: 'rejected', reason: unavailable })
})

test('a server that only reads counts as away, as one does that is to take over', async () => {
  const { ours } = await openTwo(8000)
  const write = transaction(ours, async (on) => {
    await on.query('SET TRANSACTION READ ONLY')
    await execute(on, { name: 'write', text: 'CREATE TABLE written (id integer)', row: ROW }, [])
  })
  await expect(write).rejects.toMatchObject(unavailable)
})
