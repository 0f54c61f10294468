import { createDatabase, createPostgres, until } from '@muster/testkit'
import pg from 'pg'
import { expect, test } from 'vitest'

test('each database is migrated and apart from all others', async () => {
  const [one, other] = await Promise.all([createDatabase(), createDatabase()])
  await one.query('create table mine (n int)')
  expect(await one.query('select count(*)::int as applied from _prisma_migrations')).toEqual(
    await other.query('select count(*)::int as applied from _prisma_migrations'),
  )
  await expect(other.query('select from mine')).rejects.toThrow('does not exist')
  await Promise.all([one.drop(), other.drop()])
})

test('a connection that a test leaves open is reported when its database is dropped', async () => {
  const database = await createDatabase()
  const forgotten = new pg.Client({ connectionString: database.url, application_name: 'forgetful' })
  forgotten.on('error', () => undefined)
  await forgotten.connect()
  await forgotten.query('select 42')
  await expect(database.drop()).rejects.toThrow(/1 connection\(s\) open: forgetful: select 42/)
})

test('a Postgres of one test can be held and killed without losing what was committed', async () => {
  await using server = await createPostgres()
  const database = await createDatabase(server.url)
  await database.query('create table kept as select 1 as n')
  server.pause()
  const late = database.query('select n from kept')
  server.resume()
  expect(await late).toEqual([{ n: 1 }])
  await server.kill()
  await server.start()
  expect(await until(() => database.query('select n from kept'))).toEqual([{ n: 1 }])
})
