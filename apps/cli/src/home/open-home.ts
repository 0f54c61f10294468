import { realpathSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { makePassableFolder } from '@muster/runtime'
import { agentsFolder } from './agents-folder.ts'

/** Where things are below MUSTER_HOME. */
export type Home = {
  readonly folder: string
  readonly postgres: string
  readonly redis: string
  /** The folders of the sessions, and what sandboxes are shown. */
  readonly sessions: string
  readonly cache: string
  readonly adminTokenFile: string
  readonly apiKeyFile: string
  readonly readyFile: string
  readonly supervisorFile: string
}

/** Makes the folder when it is missing. Others may pass through it, as embedded servers and sandboxes run as other accounts, but not list it. */
export function openHome(path: string): Home {
  makePassableFolder(path)
  // Behind a link there may be folders that others cannot pass.
  const folder = realpathSync(path)
  const agents = agentsFolder(folder)
  if (agents !== folder) makePassableFolder(dirname(agents))
  const sessions = join(agents, 'sessions')
  const cache = join(agents, 'cache')
  for (const each of [agents, sessions, cache]) makePassableFolder(each)
  return {
    folder,
    postgres: join(folder, 'postgres'),
    redis: join(folder, 'redis'),
    sessions,
    cache,
    adminTokenFile: join(folder, 'admin-token'),
    apiKeyFile: join(folder, 'api-key'),
    readyFile: join(folder, 'ready.json'),
    supervisorFile: join(folder, 'supervisor.json'),
  }
}
