import { folderVariables } from './folder-variables.ts'

/** Where a program finds things inside a sandbox with a file system of its own. */
export const PLACES = {
  home: '/home/agent',
  workspace: '/workspace',
  agent: '/agent',
  attachments: '/attachments',
  node: '/opt/node/bin',
} as const

/** The whole environment of a program there; its own variables win. */
export function sandboxEnvironment(env: Readonly<Record<string, string>>): Record<string, string> {
  return {
    PATH: `${PLACES.node}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin`,
    HOME: PLACES.home,
    USER: 'agent',
    LANG: 'C.UTF-8',
    TMPDIR: '/tmp',
    ...folderVariables({ agent: PLACES.agent, attachments: PLACES.attachments, workspace: PLACES.workspace }),
    ...env,
  }
}
