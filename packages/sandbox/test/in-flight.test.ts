import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import { expect, it } from 'vitest'
import { lookAtHeld } from '../src/disk/held-files.ts'
import { hasUnaccepted, hasUnreceived, inFlightMissing, listenersTell } from '../src/disk/in-flight.ts'
import { atOnce } from '../src/disk/steps.ts'

const PYTHON = '/usr/bin/python3'

const OWN_NETWORK = ['/usr/bin/unshare', '-rn']

/** A process, in a network of its own unless told, that ran this script of Python and waits. */
async function staged(
  script: string,
  prefix: readonly string[] = OWN_NETWORK,
): Promise<{ pid: number; [Symbol.dispose](): void }> {
  const words = [
    ...prefix,
    PYTHON,
    '-c',
    `import socket, sys\n${script}\nprint("staged", flush=True)\nsys.stdin.read()`,
  ]
  const child = spawn(words[0] ?? PYTHON, words.slice(1))
  await once(child.stdout, 'data')
  return { pid: child.pid ?? 0, [Symbol.dispose]: () => child.kill('SIGKILL') }
}

const socketsOf = (pid: number) => readdirSync(`/proc/${pid}/fd`).map((name) => `/proc/${pid}/fd/${name}`)

it.skipIf(!existsSync(PYTHON)).each(['STREAM', 'DGRAM', 'SEQPACKET'])(
  'a %s socket tells of descriptors that were sent to it and not received (needs python)',
  async (kind) => {
    const pair = `a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_${kind})`
    using before = await staged(pair)
    expect(socketsOf(before.pid).filter(hasUnreceived)).toEqual([])
    using after = await staged(`${pair}; socket.send_fds(a, [b"x"], [0])`)
    expect(socketsOf(after.pid).filter(hasUnreceived)).toHaveLength(1)
  },
)

it.skipIf(!existsSync(PYTHON))('a connection that nobody accepted is seen until it is (needs python)', async () => {
  const connect = (accept: string) =>
    `l = socket.socket(socket.AF_UNIX); l.bind("\\0muster-${process.pid}"); l.listen()
c = socket.socket(socket.AF_UNIX); c.connect("\\0muster-${process.pid}"); ${accept}`
  {
    using waiting = await staged(connect(''))
    expect(hasUnaccepted(waiting.pid)).toBe(true)
  }
  using accepted = await staged(connect('d = l.accept()'))
  expect(hasUnaccepted(accepted.pid)).toBe(false)
})

it.skipIf(!existsSync(PYTHON))(
  'what anybody in the same network may have sent proves nothing, and what came through a pair does (needs python)',
  async () => {
    const pair = 'a, b = socket.socketpair()'
    const named = `l = socket.socket(socket.AF_UNIX); l.bind("\\0muster-${process.pid}-l"); l.listen()
a = socket.socket(socket.AF_UNIX); a.connect("\\0muster-${process.pid}-l")`
    const sent = 'socket.send_fds(a, [b"x"], [0])'
    const unseenIn = async (prefix: readonly string[], script: string) => {
      using one = await staged(`${script}; ${sent}`, prefix)
      return atOnce(lookAtHeld({ pids: [one.pid] }, 1_000, undefined, () => undefined)).unseen
    }
    expect(await unseenIn([], pair)).toBe(true)
    expect(await unseenIn([], named)).toBe(false)
    expect(await unseenIn([], `${named}; d = l.accept()`)).toBe(false)
    expect(await unseenIn(OWN_NETWORK, named)).toBe(true)
  },
)

it('knows from which kernel on sockets tell of what was sent to them', () => {
  expect(inFlightMissing('5.4.0-generic')).toContain('5.4.0-generic')
  expect(['5.5', '5.10.0-28-amd64', '6.1.0'].map((kernel) => inFlightMissing(kernel))).toEqual([null, null, null])
  expect(['5.15.0', '6.2.16', '6.3', '6.18.44-fc', '7.0.1'].map((kernel) => listenersTell(kernel))).toEqual([
    false,
    false,
    true,
    true,
    true,
  ])
})
