import { readFileSync } from 'node:fs'
import { release } from 'node:os'
import { attempt } from './attempt.ts'

/** What the kernel says of a Unix socket with messages in it that carry descriptors. */
const UNRECEIVED = /^scm_fds:\s*[1-9]/m
/** A Unix socket that is connected and that nobody has accepted yet has no inode: `Num RefCount Protocol Flags Type St Inode Path`. */
const UNACCEPTED = /^(?:\S+ ){4}\S+ 02\s+0(?: |$)/m
/** A Unix socket with a name that no file system has, which everybody in its network can reach; a name like `@file` reads the same. */
const NAMED_IN_NETWORK = /^(?:\S+ +){6}(\d+) @/gm

/** Whether the socket behind this path of `/proc/<pid>/fd` has messages with descriptors in it that nobody received; Linux 5.5 and later tell. */
export function hasUnreceived(path: string): boolean {
  return UNRECEIVED.test(read(path.replace('/fd/', '/fdinfo/')))
}

/** Whether a connection to a Unix socket waits to be accepted in the network that this process sees. */
export function hasUnaccepted(pid: number): boolean {
  return UNACCEPTED.test(read(`/proc/${pid}/net/unix`))
}

/** The inodes of the sockets with names of their own in the network that this process sees, those accepted by way of such a name included. */
export function namedInNetwork(pid: number): ReadonlySet<string> {
  return new Set([...read(`/proc/${pid}/net/unix`).matchAll(NAMED_IN_NETWORK)].map(([, inode = '']) => inode))
}

/** Whether a listening socket tells of what was sent to it before it accepted. */
export function listenersTell(kernel: string = release()): boolean {
  return isSince(kernel, 6, 3)
}

/** Why descriptors in flight cannot be seen on this kernel, or null. */
export function inFlightMissing(kernel: string = release()): string | null {
  return isSince(kernel, 5, 5)
    ? null
    : `Linux ${kernel} does not tell of descriptors that were sent and not received (5.5 does)`
}

function isSince(kernel: string, major: number, minor: number): boolean {
  const [is = 0, isMinor = 0] = kernel.split('.').map((part) => Number.parseInt(part, 10))
  return is > major || (is === major && isMinor >= minor)
}

const read = (path: string): string => attempt(() => readFileSync(path, 'latin1')) ?? ''
