import { createDatabase } from '@muster/testkit'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Database, openDatabase } from '../src/index.ts'
import { textArray } from '../src/text-array.ts'

let database: Database
let drop: () => Promise<void>
beforeAll(async () => {
  const fresh = await createDatabase()
  drop = fresh.drop
  database = openDatabase({ url: fresh.url, poolSize: 1, onError: () => undefined })
})
afterAll(async () => {
  await database.close()
  await drop()
})

const read = async (texts: readonly (string | null)[]): Promise<unknown> =>
  (await database.pool.query('SELECT $1::text[] AS texts', [textArray(texts)])).rows[0].texts

test('whatever texts are written, Postgres reads the same', async () => {
  const hostile = ['', 'NULL', 'null', '{}', '{"a"}', ',', '"', '\\', '\\"', "'", '\n\t', ' a ', '🦊', '__proto__']
  expect(await read([...hostile, null])).toEqual([...hostile, null])
  // neither NUL nor half a character gets past the contract
  const text = fc.string({ unit: 'grapheme' }).map((one) => one.replaceAll('\0', ''))
  await fc.assert(
    fc.asyncProperty(fc.array(fc.oneof(text, fc.constantFrom(...hostile, null))), async (texts) => {
      expect(await read(texts)).toEqual(texts)
    }),
  )
})

test('no texts are an empty array', async () => {
  expect(await read([])).toEqual([])
})
