import { chmodSync, mkdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
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
export function openHome(folder: string): Home {
  mkdirSync(folder, { recursive: true, mode: 0o711 })
  const { mode } = statSync(folder)
  if ((mode & 0o001) === 0) chmodSync(folder, (mode & 0o777) | 0o011)
  const agents = agentsFolder(folder)
  const sessions = join(agents, 'sessions')
  const cache = join(agents, 'cache')
  for (const each of [agents, sessions, cache]) mkdirSync(each, { recursive: true, mode: 0o711 })
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
