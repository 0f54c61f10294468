import { existsSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { newId } from '@muster/core'
import { createAttachmentFolders, createFileCache, createSessionFolders } from '@muster/sandbox'
import { removeScratchFolder, scratchFolder } from '@muster/testkit'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { tidyUp } from '../src/start-custodian.ts'
import { openSmallFleet, type SmallFleet } from './small-fleet.ts'

const DAY_MS = 86_400_000

let fleet: SmallFleet
let root: string
beforeEach(async () => {
  fleet = await openSmallFleet()
  root = scratchFolder()
})
afterEach(async () => {
  await fleet.close()
  await removeScratchFolder(root)
})

test('a folder goes once its session or run is gone and it lay still for a week, and no other', async () => {
  const folders = createSessionFolders(join(root, 'sessions'))
  const { pool } = fleet.database
  const agent = await fleet.agent('plain', { command: ['true'] })
  const { run } = await fleet.submit({ agent: agent.key, message: 'm', session_key: 'kept' })
  const ended = await fleet.submit({ agent: agent.key, message: 'm' })
  const queued = await fleet.submit({ agent: agent.key, message: 'm' })
  await fleet.worker()
  for (const one of [run, ended.run, queued.run]) await fleet.run(one.id, 'succeeded')
  const gone = newId('session')
  const fresh = newId('session')
  const kept = [run.session_id ?? '', queued.run.id, fresh]
  const names = [...kept, ended.run.id, gone]
  for (const name of names) {
    const at = new Date(Date.now() - 8 * DAY_MS)
    const folder = await folders.open(name)
    if (name !== fresh) utimesSync(folder, at, at)
  }
  await pool.query(`UPDATE runs SET ended_at = now() - interval '2 hours' WHERE id = $1`, [ended.run.id])
  await tidyUp({
    database: fleet.database,
    folders,
    cache: createFileCache(join(root, 'cache')),
    attachments: createAttachmentFolders(join(root, 'cache')),
    logger: fleet.context.log,
  })
  expect(names.filter((name) => existsSync(join(root, 'sessions', 'sessions', name)))).toEqual(kept)
})

test('a folder that cannot be deleted keeps no other one', async () => {
  const folders = createSessionFolders(join(root, 'sessions'))
  const [stuck, gone] = [newId('session'), newId('session')]
  for (const name of [stuck, gone]) utimesSync(await folders.open(name), new Date(0), new Date(0))
  const parts = {
    database: fleet.database,
    folders: {
      ...folders,
      untouched: async () => [stuck, gone],
      remove: (name: string) => (name === stuck ? Promise.reject(new Error('busy')) : folders.remove(name)),
    },
    cache: createFileCache(join(root, 'cache')),
    attachments: createAttachmentFolders(join(root, 'cache')),
    logger: fleet.context.log,
  }
  await tidyUp(parts)
  expect([stuck, gone].map((name) => existsSync(join(root, 'sessions', 'sessions', name)))).toEqual([true, false])
})
