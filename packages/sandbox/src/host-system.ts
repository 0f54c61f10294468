import { lstat, readFile, readlink, stat } from 'node:fs/promises'
import type { FileCache } from './file-cache.ts'

/** The arguments that show a sandbox the host's programs and nothing of its data, without and with the host's network. */
export type HostSystem = { readonly closed: readonly string[]; readonly networked: readonly string[] }

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

const ETC_FILES = {
  passwd:
    'root:x:0:0:root:/nonexistent:/usr/sbin/nologin\nagent:x:1000:1000:agent:/home/agent:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n',
  group: 'root:x:0:\nagent:x:1000:\nnogroup:x:65534:\n',
  'nsswitch.conf': 'passwd: files\ngroup: files\nhosts: files dns\n',
  hosts: '127.0.0.1 localhost\n::1 localhost\n',
}

/** Looks once at how this host lays out its programs. `/etc` is our own but for the few files listed here. */
export async function describeHostSystem(cache: FileCache): Promise<HostSystem> {
  const programs = ['--ro-bind', '/usr', '/usr']
  for (const name of TOP_FOLDERS) programs.push(...(await topFolder(`/${name}`)))
  const loader = await readFile('/etc/ld.so.cache').catch(() => null)
  const files = loader === null ? ETC_FILES : { ...ETC_FILES, 'ld.so.cache': loader }
  return {
    closed: [...programs, ...(await etcFolder(cache, files, ['alternatives']))],
    networked: [...programs, ...(await etcFolder(cache, files, ['alternatives', ...NETWORK_PATHS]))],
  }
}

async function topFolder(path: string): Promise<string[]> {
  const found = await lstat(path).catch(() => null)
  if (found === null) return []
  return found.isSymbolicLink() ? ['--symlink', await readlink(path), path] : ['--ro-bind', path, path]
}

/** One bind for our files, with a place kept in it for each path of the host. */
async function etcFolder(
  cache: FileCache,
  files: Readonly<Record<string, string | Uint8Array>>,
  paths: readonly string[],
): Promise<string[]> {
  const places: Record<string, string> = {}
  const binds: string[] = []
  for (const path of paths) {
    const found = await stat(`/etc/${path}`).catch(() => null)
    if (found === null) continue
    places[found.isDirectory() ? `${path}/.place` : path] = ''
    binds.push('--ro-bind', `/etc/${path}`, `/etc/${path}`)
  }
  return ['--ro-bind', await cache.folderOf({ ...files, ...places }), '/etc', ...binds]
}
