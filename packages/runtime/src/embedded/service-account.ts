import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)

export type ServiceAccount = { readonly uid: number; readonly gid: number }

const NAME = 'muster'

/**
 * Whom embedded servers run as: null (ourselves) for an ordinary user. For root, since Postgres refuses to run as root, the system
 * account `muster`, which is made when it is missing; `nobody` where it cannot be made.
 */
export async function serviceAccount(): Promise<ServiceAccount | null> {
  if (process.getuid?.() !== 0) return null
  const account = (await lookUp(NAME)) ?? (await create()) ?? (await lookUp('nobody'))
  if (account === null)
    throw new Error('Postgres cannot run as root, and there is neither an account "muster" nor "nobody"')
  return account
}

async function lookUp(name: string): Promise<ServiceAccount | null> {
  try {
    const [uid, gid] = await Promise.all([run('id', ['-u', name]), run('id', ['-g', name])])
    return { uid: Number(uid.stdout), gid: Number(gid.stdout) }
  } catch {
    return null
  }
}

async function create(): Promise<ServiceAccount | null> {
  const useradd = [
    '--system',
    '--user-group',
    '--no-create-home',
    '--home-dir',
    '/nonexistent',
    '--shell',
    '/usr/sbin/nologin',
    NAME,
  ]
  for (let attempt = 0; attempt < 5; attempt++) {
    // It fails when there is no useradd, when somebody else has just made the account, or holds the lock on /etc/passwd.
    const failure = await run('useradd', useradd).then(
      () => null,
      (error: unknown) => error,
    )
    const account = await lookUp(NAME)
    if (account !== null) return account
    if (failure instanceof Error && 'code' in failure && failure.code === 'ENOENT') return null
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  return null
}
