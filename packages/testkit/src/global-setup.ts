import { type EmbeddedServer, startPostgres, startRedis } from '@muster/runtime'
import type { TestProject } from 'vitest/node'
import { TEST_POSTGRES_SETTINGS } from './create-postgres.ts'
import { clearAbandonedScratch, removeScratchFolder, scratchFolder } from './scratch-folder.ts'

declare module 'vitest' {
  interface ProvidedContext {
    postgresUrl: string
    redisUrl: string
  }
}

type Shared = { readonly folder: string; readonly postgres: EmbeddedServer; readonly redis: EmbeddedServer }

/** Each project of a run loads this module anew; they share one pair of servers through this. */
const run = globalThis as typeof globalThis & {
  musterTestServers?: { users: number; readonly shared: Promise<Shared> }
}

export async function setup(project: TestProject): Promise<void> {
  run.musterTestServers ??= { users: 0, shared: startShared() }
  run.musterTestServers.users++
  const { postgres, redis } = await run.musterTestServers.shared
  project.provide('postgresUrl', postgres.url)
  project.provide('redisUrl', redis.url)
}

export async function teardown(): Promise<void> {
  const servers = run.musterTestServers
  if (servers === undefined || --servers.users > 0) return
  delete run.musterTestServers
  const { folder, postgres, redis } = await servers.shared
  await Promise.all([postgres.kill(), redis.kill()])
  await removeScratchFolder(folder)
}

async function startShared(): Promise<Shared> {
  await clearAbandonedScratch()
  const folder = scratchFolder()
  const [postgres, redis] = await Promise.all([
    startPostgres({ folder: `${folder}/postgres`, settings: TEST_POSTGRES_SETTINGS }),
    startRedis({ folder: `${folder}/redis`, settings: { appendonly: 'no' } }),
  ])
  return { folder, postgres, redis }
}
