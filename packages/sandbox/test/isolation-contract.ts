import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { newId } from '@muster/core'
import { describe, expect, it } from 'vitest'
import { findSandboxes, killGroup, type Sandbox } from '../src/index.ts'
import { eventually, living, makeSpec, runToEnd, startedProcess, uniqueSleep } from './place.ts'

/** What every adapter promises that keeps agents apart from the host. */
export function isolationContract(sandbox: Sandbox, root: () => string, workspace: string): void {
  const sh = (script: string, over = {}) => makeSpec({ command: ['sh', '-c', script], ...over })

  describe('apart from the host', () => {
    it('cannot write a workspace it may only read', async () => {
      const over = { workspaceFolder: workspace, workspaceAccess: 'ro' as const }
      writeFileSync(join(workspace, 'seen'), 'seen')
      const end = await runToEnd(
        sandbox,
        sh('cat seen; touch new || echo refused; mount -o remount,rw /workspace || echo refused', over),
      )
      expect(end.stdout).toBe('seenrefused\nrefused\n')
    })

    it.each([
      ['without network', { network: false }, 'refused refused'],
      ['with the network its policy allows', { network: true }, 'connected connected'],
    ])(
      '%s reaches host listeners by loopback or abstract socket as the policy says',
      async (_title, over, expected) => {
        const tcp = createServer((socket) => socket.end()).listen(0, '127.0.0.1')
        const abstract = createServer((socket) => socket.end()).listen(`\0muster-test-${process.pid}`)
        await Promise.all([once(tcp, 'listening'), once(abstract, 'listening')])
        const address = tcp.address()
        const port = typeof address === 'object' ? address?.port : 0
        const script = `
        import { connect } from 'node:net'
        const reach = (to) => new Promise((done) => connect(to).on('connect', () => done('connected')).on('error', () => done('refused')))
        console.log(await reach({ host: '127.0.0.1', port: ${port} }), await reach({ path: '\\0muster-test-${process.pid}' }))`
        try {
          const end = await runToEnd(
            sandbox,
            makeSpec({ command: ['node', '/agent/a.mjs'], files: { 'a.mjs': script }, ...over }),
          )
          expect(end.stdout.trim()).toBe(expected)
        } finally {
          tcp.close()
          abstract.close()
        }
      },
    )

    it('has a name for its user and its group', async () => {
      const script = "import { userInfo } from 'node:os'; console.log(userInfo().username)"
      const command = ['sh', '-c', 'id -un; id -gn; node /agent/a.mjs']
      const end = await runToEnd(sandbox, makeSpec({ command, files: { 'a.mjs': script } }))
      expect(end).toMatchObject({ stdout: 'agent\nagent\nagent\n', stderr: '' })
    })

    it('has a loopback of its own without network', async () => {
      const script = `
        import { connect, createServer } from 'node:net'
        const server = createServer((s) => s.end('own')).listen(0, '127.0.0.1', () =>
          connect(server.address().port, '127.0.0.1').on('data', (d) => { console.log(String(d)); server.close() }))`
      const end = await runToEnd(sandbox, makeSpec({ command: ['node', '/agent/a.mjs'], files: { 'a.mjs': script } }))
      expect(end.stdout).toBe('own\n')
    })

    it('sees no secrets of the host, no home, no folder of another session', async () => {
      const other = join(root(), 'other-session')
      mkdirSync(other)
      writeFileSync(join(other, 'secret'), 'secret')
      const end = await runToEnd(
        sandbox,
        sh(
          `cat /etc/shadow /etc/hostname ${other}/secret; ls /root ${root()} /var /sys /boot; ls /home; ls -A /tmp; ls /etc | tr '\\n' ' '`,
          {
            workspaceFolder: workspace,
            workspaceAccess: 'rw',
          },
        ),
      )
      expect(end.stdout).toBe('agent\nalternatives group hosts ld.so.cache nsswitch.conf passwd ')
    })

    it('sees no process of the host and cannot signal one', async () => {
      const end = await runToEnd(sandbox, sh(`ls /proc | grep -c "^[0-9]"; kill -0 ${process.pid} || echo none`))
      const [count, signal] = end.stdout.trim().split('\n')
      expect(Number(count)).toBeLessThan(8)
      expect(signal).toBe('none')
    })

    it('has no capability, cannot mount, and cannot make a user namespace to get any', async () => {
      const end = await runToEnd(
        sandbox,
        sh(
          'grep CapBnd /proc/self/status; mount -t tmpfs x /tmp || echo refused; unshare -Ur true || echo refused; umount /tmp || echo refused; hostname x || echo refused',
        ),
      )
      expect(end.stdout).toBe('CapBnd:\t0000000000000000\nrefused\nrefused\nrefused\nrefused\n')
    })

    it('has no device but the plain ones, and sees of /proc what programs need', async () => {
      const end = await runToEnd(
        sandbox,
        sh(
          `find /dev -type b; find /dev -type c | grep -vE '^/dev/(null|zero|full|random|urandom|tty|console|ptmx|pts/ptmx|pts/[0-9]+)$'
          for f in kcore keys kallsyms timer_list kmsg interrupts; do head -c 1 /proc/$f 2>/dev/null | grep -q . && echo "$f"; done
          ls -A /proc/acpi /proc/scsi 2>/dev/null | grep -v :; ls -A /sys 2>/dev/null | head -3
          for f in /proc/sysrq-trigger /proc/sys/kernel/hostname /proc/sys/kernel/core_pattern /proc/1/oom_score_adj /sys/kernel/uevent_helper; do
            sh -c "echo x > $f" 2>/dev/null && echo "wrote $f"; done; true`,
        ),
      )
      expect(end.stdout).toBe('')
    })

    it('makes files as its umask says, dumps no core, and cannot raise its limits', async () => {
      const end = await runToEnd(
        sandbox,
        sh(
          'umask; ulimit -c; ulimit -n; ulimit -f; (ulimit -n 1048576 2>/dev/null || echo refused); (kill -SEGV $BASHPID; true); cd /tmp; sleep 100 & kill -SEGV $!; wait; ls',
        ),
      )
      expect(end.stdout).toBe('0022\n0\n4096\n133120\nrefused\n')
    })

    it('bounds every file system in memory and has no other place to write', async () => {
      const fill = (folder: string) => `head -c 80M /dev/zero > ${folder}/x 2>/dev/null || echo full; rm -f ${folder}/x`
      const end = await runToEnd(
        sandbox,
        sh(
          `${['/tmp', '/dev/shm', '$HOME', '/workspace'].map(fill).join('; ')}; for d in / /dev /etc /run /run/muster/* /home /opt /agent; do touch $d/x 2>/dev/null && echo $d; done; true`,
        ),
      )
      expect(end.stdout).toBe('full\nfull\nfull\nfull\n')
    })

    it('is found by its group even when the agent overwrites the memory of its init', async () => {
      const sleep = uniqueSleep()
      const forge = `
        import { openSync, readFileSync, writeSync } from 'node:fs'
        const stat = readFileSync('/proc/1/stat', 'utf8').slice(2).split(') ')[1].split(' ')
        const [start, end] = [Number(stat[45]), Number(stat[46])]
        try { writeSync(openSync('/proc/1/mem', 'r+'), Buffer.alloc(end - start, 120), 0, end - start, start) } catch {}
        console.log(readFileSync('/proc/1/cmdline', 'utf8').startsWith('muster') ? 'denied' : 'forged')
        setInterval(() => {}, 1000)`
      const spec = makeSpec({ command: ['node', '/agent/forge.mjs', sleep], files: { 'forge.mjs': forge } })
      const process = startedProcess(await sandbox.start(spec))
      const [said] = await once(process.stdout, 'data')
      // Where the kernel lets it, which is where Yama is off.
      expect(['forged\n', 'denied\n']).toContain(String(said))
      const pids = findSandboxes({ runId: spec.group.runId }).map((one) => one.pid)
      expect(pids).toHaveLength(2)
      expect(pids).toContain(process.pid)
      expect(await killGroup({ runId: spec.group.runId })).toMatchObject({ kind: 'gone' })
      expect(living(sleep)).toEqual([])
      await process.exited
    })

    it('cannot pass for the sandbox of another run', async () => {
      const sleep = uniqueSleep()
      const other = `muster-sandbox:${newId('run')}:-:1`
      const spec = sh(`exec -a '${other}' env MUSTER_SANDBOX_GROUP=${other} sleep ${sleep}`)
      const process = startedProcess(await sandbox.start({ ...spec, command: ['bash', ...spec.command.slice(1)] }))
      await eventually(() => living(`sleep ${sleep}`).some((one) => one.command.startsWith('sleep')), 'it sleeps')
      expect(findSandboxes({ runId: other.split(':')[1] ?? '' })).toEqual([])
      await process.kill()
    })

    it('says in words why a sandbox could not be set up', async () => {
      const end = await runToEnd(sandbox, makeSpec({ workspaceFolder: '/no/such/folder', workspaceAccess: 'rw' }))
      expect(end.code).toBeNull()
      expect(end.fault).toContain('/no/such/folder')
    })
  })
}
