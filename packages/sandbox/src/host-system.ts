import { lstat, readFile, readlink, stat } from 'node:fs/promises'
import type { FileCache, HeldFolder } from './file-cache.ts'

/** A path of a sandbox: the host's own behind it, read-only, or a link. */
export type HostPath =
  | { readonly kind: 'bind'; readonly from: string; readonly to: string }
  | { readonly kind: 'link'; readonly target: string; readonly at: string }

/** What shows a sandbox the host's programs and nothing of its data, without and with the host's network. */
export type HostSystem = {
  readonly closed: readonly HostPath[]
  readonly networked: readonly HostPath[]
  /** Call before each sandbox: our own files among them may have been pruned since. */
  keep(): Promise<void>
}

const TOP_FOLDERS = ['bin', 'sbin', 'lib', 'lib32', 'lib64', 'libx32']

/** Read live, so that a resolver that changes is followed. Private keys (`/etc/ssl/private`) are not among them. */
const NETWORK_PATHS = [
  'resolv.conf',
  'hosts',
  'ssl/certs',
  'ssl/openssl.cnf',
  'pki/tls/certs',
  'pki/ca-trust/extracted',
  'ca-certificates',
]

/** The account that an agent runs as, as the sandbox sees it. */
export type AgentAccount = { readonly uid: number; readonly gid: number }

/** What tells programs the names of the users in a sandbox. */
export const accountFiles = ({ uid, gid }: AgentAccount) => ({
  passwd: `root:x:0:0:root:/nonexistent:/usr/sbin/nologin\nagent:x:${uid}:${gid}:agent:/home/agent:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n`,
  group: `root:x:0:\nagent:x:${gid}:\nnogroup:x:65534:\n`,
})

const etcFiles = (account: AgentAccount) => ({
  ...accountFiles(account),
  'nsswitch.conf': 'passwd: files\ngroup: files\nhosts: files dns\n',
  hosts: '127.0.0.1 localhost\n::1 localhost\n',
})

/** Looks once at how this host lays out its programs. `/etc` is our own but for the few files listed here. */
export async function describeHostSystem(cache: FileCache, account: AgentAccount): Promise<HostSystem> {
  const programs = [bind('/usr')]
  for (const name of TOP_FOLDERS) programs.push(...(await topFolder(`/${name}`)))
  const loader = await readFile('/etc/ld.so.cache').catch(() => null)
  const own = etcFiles(account)
  const files = loader === null ? own : { ...own, 'ld.so.cache': loader }
  const closed = await etcFolder(cache, files, ['alternatives'])
  const networked = await etcFolder(cache, files, ['alternatives', ...NETWORK_PATHS])
  return {
    closed: [...programs, ...closed.binds],
    networked: [...programs, ...networked.binds],
    keep: async () => {
      await Promise.all([closed.own.keep(), networked.own.keep()])
    },
  }
}

const bind = (path: string): HostPath => ({ kind: 'bind', from: path, to: path })

async function topFolder(path: string): Promise<HostPath[]> {
  const found = await lstat(path).catch(() => null)
  if (found === null) return []
  return found.isSymbolicLink() ? [{ kind: 'link', target: await readlink(path), at: path }] : [bind(path)]
}

/** One bind for our files, with a place kept in it for each path of the host. */
async function etcFolder(
  cache: FileCache,
  files: Readonly<Record<string, string | Uint8Array>>,
  paths: readonly string[],
): Promise<{ readonly own: HeldFolder; readonly binds: readonly HostPath[] }> {
  const places: Record<string, string> = {}
  const binds: HostPath[] = []
  for (const path of paths) {
    const found = await stat(`/etc/${path}`).catch(() => null)
    if (found === null) continue
    places[found.isDirectory() ? `${path}/.place` : path] = ''
    binds.push(bind(`/etc/${path}`))
  }
  const own = await cache.hold({ ...files, ...places })
  return { own, binds: [{ kind: 'bind', from: own.folder, to: '/etc' }, ...binds] }
}
