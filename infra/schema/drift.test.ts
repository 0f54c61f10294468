import { readFileSync } from 'node:fs'
import { createDatabase, createPostgres, type TestServer } from '@muster/testkit'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { findDrift } from './find-drift.ts'

const schema = readFileSync(new URL('../../prisma/schema.prisma', import.meta.url), 'utf8')
let postgres: TestServer
beforeAll(async () => {
  postgres = await createPostgres()
})
afterAll(() => postgres[Symbol.asyncDispose]())

test('the migrations build what prisma/schema.prisma says', async () => {
  await using database = await createDatabase(postgres.url)
  expect(await findDrift(database.url, schema)).toBeNull()
})

test.each([
  ['a column that the schema does not know', 'ALTER TABLE tasks ADD COLUMN colour text', 'DROP COLUMN "colour"'],
  ['a column that is missing', 'ALTER TABLE runs DROP COLUMN label', 'ADD COLUMN     "label" TEXT'],
  ['another type', 'ALTER TABLE runs ALTER COLUMN timeout_ms TYPE bigint', '"timeout_ms" SET DATA TYPE INTEGER'],
  ['a column that may be null', 'ALTER TABLE tasks ALTER COLUMN lane DROP NOT NULL', '"lane" SET NOT NULL'],
  ['one that may not', `ALTER TABLE nodes ALTER COLUMN address SET NOT NULL`, '"address" DROP NOT NULL'],
  ['a default that is missing', 'ALTER TABLE runs ALTER COLUMN losses DROP DEFAULT', '"losses" SET DEFAULT 0'],
  ['one too many', `ALTER TABLE runs ALTER COLUMN lane SET DEFAULT 'main'`, '"lane" DROP DEFAULT'],
  ['another default', 'ALTER TABLE agents ALTER COLUMN weight SET DEFAULT 2', '"weight" SET DEFAULT 1'],
  ['an index that is missing', 'DROP INDEX runs_workspace_id', 'CREATE INDEX "runs_workspace_id"'],
  ['one too many', 'CREATE INDEX extra ON runs (lane)', 'DROP INDEX "extra"'],
  [
    'other columns of an index',
    'DROP INDEX runs_workspace_id; CREATE INDEX runs_workspace_id ON runs (task_id, id)',
    'runs_workspace_id',
  ],
  ['a unique that is missing', 'ALTER TABLE workspaces DROP CONSTRAINT workspaces_key_key', 'CREATE UNIQUE INDEX'],
  ['a reference that is missing', 'ALTER TABLE api_keys DROP CONSTRAINT api_keys_workspace_id_fkey', 'ADD CONSTRAINT'],
  [
    'another primary key',
    'ALTER TABLE ended_attempts DROP CONSTRAINT ended_attempts_pkey',
    'ADD CONSTRAINT "ended_attempts_pkey" PRIMARY KEY',
  ],
  ['a table that is missing', 'DROP TABLE removed_folders', 'CREATE TABLE "removed_folders"'],
  ['one too many', 'CREATE TABLE extra (id text PRIMARY KEY)', 'DROP TABLE "extra"'],
])('%s is drift', async (_, change, told) => {
  await using database = await createDatabase(postgres.url)
  for (const statement of change.split('; ')) await database.query(statement)
  expect(await findDrift(database.url, schema)).toContain(told)
})
