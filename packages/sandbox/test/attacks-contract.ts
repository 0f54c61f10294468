import { once } from 'node:events'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
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
      const end = await attack(`
        for f in /etc/shadow /etc/gshadow /root/.ssh/id_rsa /root/.bashrc ${root()}/worker-file ${root()}/sessions/other/notes ${process.cwd()}/package.json; do
          cat "$f" 2>/dev/null; cat "/proc/1/root$f" 2>/dev/null; cat "/proc/self/root/../..$f" 2>/dev/null; done
        cat /proc/${process.pid}/environ /proc/${process.ppid}/environ 2>/dev/null
        grep -azo '${SECRET.slice(0, 10)}-of[^ ]*' /proc/[0-9]*/environ 2>/dev/null | grep -a worker- | grep -av attack
        ls ${root()} ${join(root(), 'sessions')} /proc/1/cwd/.. 2>/dev/null | grep -E 'other|worker-file'
        find / -xdev -name worker-file 2>/dev/null
        true`)
      expect(end.stdout).toBe('')
    })

    it('reaches nobody with the network off: no service of the host, not the Internet, no name', async () => {
      const address = servers[0]?.address()
      const port = typeof address === 'object' ? address?.port : 0
      const own = Object.values(networkInterfaces()).flatMap((all) => all?.map((one) => one.address) ?? [])
      const script = `
        import { connect } from 'node:net'
        import { createSocket } from 'node:dgram'
        import { lookup } from 'node:dns/promises'
        const reach = (to) => new Promise((done) => {
          const line = connect(to).on('connect', () => done('reached ' + JSON.stringify(to))).on('error', () => done(''))
          setTimeout(() => { line.destroy(); done('') }, 3000)
        })
        const hosts = ${JSON.stringify([...own, '127.0.0.1', '::1', '0.0.0.0', '169.254.169.254', '1.1.1.1'])}
        const tries = hosts.flatMap((host) => [${port}, 6379, 5432, 80].map((port) => reach({ host, port })))
        tries.push(reach({ path: ${JSON.stringify(socket)} }), reach({ path: '\\0muster-attack-${process.pid}' }))
        tries.push(lookup('example.com').then(() => 'resolved', () => ''))
        tries.push(new Promise((done) => createSocket('udp4').send('x', 53, '1.1.1.1', (error) => done(error ? '' : 'sent'))))
        console.log((await Promise.all(tries)).filter((one) => one !== '').join('\\n'))
        process.exit(0)`
      const end = await runToEnd(
        sandbox,
        makeSpec({ command: ['node', '/agent/reach.mjs'], files: { 'reach.mjs': script } }),
      )
      expect(end).toMatchObject({ stdout: '\n', code: 0 })
    })

    it('signals nobody but itself, sees nobody, and leaves nobody behind', async () => {
      const sleep = uniqueSleep()
      const end = await attack(`
        for pid in ${process.pid} ${process.ppid} 2 $(seq 100 200); do kill -0 $pid 2>/dev/null && ! ls /proc/$pid >/dev/null 2>&1 && echo "signalled $pid"; done
        for pid in ${process.pid} ${process.ppid}; do grep -qs node /proc/$pid/cmdline && echo "saw $pid"; done
        (setsid bash -c 'trap "" HUP TERM; exec sleep ${sleep}' &); sleep 0.2
        trap '' TERM; kill -TERM -1 2>/dev/null; echo alive`)
      expect(end.stdout).toBe('alive\n')
      expect(living(sleep)).toEqual([])
    })

    it('gains no privilege: not by setuid programs, devices, cgroups, mounts or the kernel', async () => {
      const end = await attack(`
        cp /bin/sh ./sh && chmod 6755 ./sh && ./sh -p -c 'id -u; id -G' | grep -wE '0' && echo 'is root'
        for p in su sudo newgrp mount chsh pkexec; do echo x | timeout 2 $p -c id 2>/dev/null </dev/null | grep -q 'uid=0' && echo "root by $p"; done
        for d in /dev/mem /dev/kmsg /dev/vda /dev/sda /dev/kvm /dev/fuse /dev/net/tun /dev/loop-control; do head -c 1 $d >/dev/null 2>&1 && echo "opened $d"; done
        mknod ./disk b 254 0 2>/dev/null && head -c 1 ./disk >/dev/null 2>&1 && echo 'made a device'
        mknod ./mem c 1 1 2>/dev/null && head -c 1 ./mem >/dev/null 2>&1 && echo 'made a device'
        for t in 'tmpfs x /tmp' 'proc x /tmp' 'cgroup x /tmp' 'sysfs x /tmp'; do mount -t $t 2>/dev/null && echo "mounted $t"; done
        mount --bind / /tmp 2>/dev/null && echo 'bound'; umount /workspace 2>/dev/null && echo 'unmounted'
        unshare -m true 2>/dev/null && echo 'new mounts'; unshare -Un true 2>/dev/null && echo 'new user'; nsenter -t 1 -m true 2>/dev/null && echo 'entered'
        chroot / true 2>/dev/null && echo 'changed root'
        ls /sys/fs/cgroup 2>/dev/null; (echo $$ > /sys/fs/cgroup/cgroup.procs) 2>/dev/null && echo 'left its group'
        (echo x > /proc/sys/kernel/core_pattern) 2>/dev/null && echo 'changed the kernel'
        chown 0:0 ./sh 2>/dev/null && echo 'gave away'; setpriv --reuid 0 true 2>/dev/null && echo 'became root'
        grep -E '^Cap(Inh|Prm|Eff|Bnd|Amb)' /proc/self/status | grep -v 0000000000000000
        (ulimit -c unlimited || ulimit -n 999999) 2>/dev/null && echo 'raised a limit'
        nice -n -5 true 2>&1 | grep -q cannot || echo 'went first'
        true`)
      expect(end.stdout).toBe('')
    })
  })
}
