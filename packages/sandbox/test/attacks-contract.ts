import { once } from 'node:events'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { GAIN_PRIVILEGES, reachOthers, readSecrets, signalOthers } from '@muster/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Sandbox } from '../src/index.ts'
import { living, makeSpec, runToEnd, uniqueSleep } from './place.ts'

const SECRET = `secret-of-the-worker-${process.pid}`

/** A hostile agent against a host that has something to lose. Whatever it gets it prints; nothing is what it may get. */
export function attacksContract(sandbox: Sandbox, root: () => string, workspace: string): void {
  const attack = (script: string, over = {}) =>
    runToEnd(
      sandbox,
      makeSpec({
        command: ['bash', '-c', script],
        workspaceFolder: workspace,
        workspaceAccess: 'rw',
        ...over,
      }),
    )

  describe('a hostile agent', { timeout: 30_000 }, () => {
    const servers: Server[] = []
    let socket = ''

    beforeAll(async () => {
      process.env['MUSTER_TEST_SECRET'] = SECRET
      const other = join(root(), 'sessions', 'other')
      mkdirSync(other, { recursive: true })
      writeFileSync(join(other, 'notes'), SECRET)
      writeFileSync(join(root(), 'worker-file'), SECRET)
      socket = join(root(), 'postgres.sock')
      // What stands for Redis, Postgres and the gateway, on every address of this host and in its file system.
      for (const where of [
        { port: 0, host: '0.0.0.0' },
        { path: socket },
        { path: `\0muster-attack-${process.pid}` },
      ]) {
        const server = createServer((connection) => connection.end('reached')).listen(where)
        await once(server, 'listening')
        servers.push(server)
      }
      chmodSync(socket, 0o777)
    })
    afterAll(() => {
      delete process.env['MUSTER_TEST_SECRET']
      for (const server of servers) server.close()
    })

    it('reads no secret: not of the host, not of the worker, not of another session', async () => {
      const end = await attack(
        readSecrets({
          files: [
            join(root(), 'worker-file'),
            join(root(), 'sessions', 'other', 'notes'),
            join(process.cwd(), 'package.json'),
          ],
          folders: [root(), join(root(), 'sessions')],
          pids: [process.pid, process.ppid],
          variables: ['MUSTER_TEST_SECRET'],
        }),
      )
      expect(end.stdout).toBe('')
    })

    it('reaches nobody with the network off: no service of the host, not the Internet, no name', async () => {
      const address = servers[0]?.address()
      const port = typeof address === 'object' ? (address?.port ?? 0) : 0
      const hosts = Object.values(networkInterfaces()).flatMap((all) => all?.map((one) => one.address) ?? [])
      const sockets = [socket, `\0muster-attack-${process.pid}`]
      const files = { 'reach.mjs': reachOthers({ hosts, ports: [port, 6379, 5432], sockets }) }
      const end = await runToEnd(sandbox, makeSpec({ command: ['node', '/agent/reach.mjs'], files }))
      expect(end).toMatchObject({ stdout: '', code: 0 })
    })

    it('signals nobody but itself, sees nobody, and leaves nobody behind', async () => {
      const sleep = uniqueSleep()
      const end = await attack(`${signalOthers([process.pid, process.ppid])}
        (setsid bash -c 'trap "" HUP TERM; exec sleep ${sleep}' &); sleep 0.2
        trap '' TERM; kill -TERM -1 2>/dev/null; echo alive`)
      expect(end.stdout).toBe('alive\n')
      expect(living(sleep)).toEqual([])
    })

    it('gains no privilege: not by setuid programs, devices, cgroups, mounts or the kernel', async () => {
      expect((await attack(GAIN_PRIVILEGES)).stdout).toBe('')
    })
  })
}
