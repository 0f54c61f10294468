import { once } from 'node:events'
import { existsSync, mkdirSync, openSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { RESOURCE_NAMES } from '@muster/contracts'
import { newId } from '@muster/core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createFileCache, findSandboxes, killGroup, sessionUser } from '../src/index.ts'
import { groupMarker } from '../src/sandbox-group.ts'
import { adapter, missingFor } from './adapters.ts'
import { attacksContract } from './attacks-contract.ts'
import { isolationContract } from './isolation-contract.ts'
import {
  AGENT,
  eventually,
  holdersOf,
  living,
  makePlace,
  makeSpec,
  makeWorkspace,
  runToEnd,
  startedProcess,
  stateOf,
  uniqueSleep,
} from './place.ts'
import { startOtherWorker } from './start-other-worker.ts'
import { syscallsContract } from './syscalls-contract.ts'
import { takeInitOver } from './take-init-over.ts'

export type SandboxCapabilities = {
  /** `namespaces`: apart from the host in every respect. `nothing`: only what a plain child process can have. */
  readonly isolation: 'namespaces' | 'nothing'
}

/** A tree with children that leave the session, ignore signals, and lose their parent. */
function tree(sleep: string): string {
  return `
  trap '' HUP INT TERM QUIT
  sleep ${sleep} & (sleep ${sleep} & exec sleep ${sleep}) &
  setsid sh -c "trap '' TERM; sleep ${sleep}; sleep ${sleep}" &
  (setsid setsid sleep ${sleep} &)
  while [ "$(cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n' | grep -c '^${sleep}$')" -lt 5 ]; do :; done
  echo planted`
}

/** What every adapter promises; `capabilities` states where they differ. */
export function sandboxContract(name: string, capabilities: SandboxCapabilities): void {
  const missing = missingFor(name)
  const title = `${name} keeps the contract of every sandbox${missing === null ? '' : ` (skipped: ${missing})`}`
  describe.skipIf(missing !== null)(title, { timeout: 30_000 }, () => {
    const place = makePlace()
    const cacheRoot = join(place.root, 'cache')
    const workspace = join(place.root, 'workspace')
    const sandbox = adapter(name, cacheRoot)
    const sh = (script: string, over = {}) => makeSpec({ command: ['sh', '-c', script], ...over })

    beforeAll(async () => {
      makeWorkspace(workspace)
      expect(await sandbox.probe()).toMatchObject({ kind: 'usable' })
    })
    afterAll(() => place.remove())

    describe('running a program', () => {
      it('hands over stdout, stderr and the exit code as they are', async () => {
        const end = await runToEnd(sandbox, sh('printf out; printf err >&2; exit 7'))
        expect(end).toMatchObject({ stdout: 'out', stderr: 'err', code: 7, fault: null })
      })

      it('tells a death by signal from an exit', async () => {
        const end = await runToEnd(sandbox, sh('kill -TERM $$'))
        expect(end.signal === 'SIGTERM' || end.code === 128 + 15).toBe(true)
      })

      it('ends with code 127 when the command does not exist', async () => {
        const end = await runToEnd(sandbox, makeSpec({ command: ['no-such-command'] }))
        expect(end).toMatchObject({ code: 127, fault: null })
        expect(end.stderr).toContain('no-such-command')
      })

      it('passes stdin through and its end', async () => {
        const process = startedProcess(await sandbox.start(makeSpec({ command: ['cat'] })))
        expect(await process.stdin.write('to the agent')).toBe('written')
        process.stdin.end()
        let stdout = ''
        for await (const chunk of process.stdout) stdout += chunk
        expect(stdout).toBe('to the agent')
        expect(await process.exited).toMatchObject({ code: 0 })
        expect(await process.stdin.write('too late')).toBe('closed')
      })

      it('answers a write that the agent never reads once the agent is gone', async () => {
        const process = startedProcess(await sandbox.start(sh('exec 0<&-; echo ready; exec sleep 1000')))
        const write = process.stdin.write('x'.repeat(4 * 1024 * 1024))
        await once(process.stdout, 'data')
        await process.kill()
        expect(await write).toBe('closed')
      })

      it('runs node, bash and coreutils', async () => {
        const end = await runToEnd(
          sandbox,
          sh('node -p process.version; bash -c "echo bash"; seq 2 | sort -r | head -1; awk "BEGIN{print 5}"'),
        )
        expect(end.stdout.split('\n')).toEqual([process.version, 'bash', '2', '5', ''])
      })

      it('makes a fast writer wait while nobody reads', async () => {
        const process = startedProcess(await sandbox.start(sh('exec yes muster-flood')))
        process.stdout.once('readable', () => undefined)
        await eventually(() => {
          const writers = living('yes muster-flood').filter((one) => one.command.startsWith('yes'))
          return writers.some((one) => one.state === 'S') && process.stdout.readableLength > 0
        }, 'the writer sleeps')
        expect(process.stdout.readableLength).toBeLessThan(1024 * 1024)
        let read = 0
        for await (const chunk of process.stdout) {
          read += chunk.length
          if (read > 32 * 1024 * 1024) break
        }
        await process.kill()
        expect(read).toBeGreaterThan(32 * 1024 * 1024)
      })

      it('says how it holds each demand of the policy', async () => {
        const process = startedProcess(await sandbox.start(makeSpec()))
        await process.exited
        const probe = await sandbox.probe()
        const holds: readonly string[] = probe.kind === 'usable' ? probe.holds : []
        const word = (name: string) => (holds.includes(name) ? 'enforced' : 'not_enforced')
        expect(process.limits).toMatchObject({
          cpu: word('cpu'),
          memory: word('memory_mb'),
          pids: word('pids'),
          disk: word('disk_mb'),
        })
        const isolation = capabilities.isolation === 'namespaces' ? 'enforced' : 'not_enforced'
        expect(process.limits).toMatchObject({ network: isolation, workspace_access: isolation })
      })
    })

    it('still starts when its own files were not asked for in so long that they are gone', async () => {
      await createFileCache(cacheRoot).prune(-60_000)
      expect(await runToEnd(sandbox, sh('cat /etc/passwd >/dev/null; echo here'))).toMatchObject({ stdout: 'here\n' })
    })

    it('refuses to start what names a limit that it cannot hold, and only that', async () => {
      const probe = await sandbox.probe()
      const holds = probe.kind === 'usable' ? probe.holds : []
      for (const name of RESOURCE_NAMES) {
        const outcome = await sandbox.start(makeSpec({ required: [name] }))
        if (holds.includes(name)) await startedProcess(outcome).exited
        else expect(outcome).toMatchObject({ kind: 'failed', reason: expect.stringContaining(name) })
      }
    })

    describe('what a program is given', () => {
      it('gets a clean environment and its own variables', async () => {
        process.env['MUSTER_TEST_SECRET'] = 'of the worker'
        const end = await runToEnd(sandbox, makeSpec({ command: ['env'], env: { GREETING: 'a b\n=c', LANG: 'C' } }))
        delete process.env['MUSTER_TEST_SECRET']
        const names = end.stdout.split('\n').flatMap((line) => /^([A-Z_]+)=/.exec(line)?.[1] ?? [])
        const own = ['PATH', 'HOME', 'LANG', 'USER', 'TMPDIR', 'PWD', 'GREETING']
        expect(names.filter((one) => !own.includes(one) && !one.startsWith('MUSTER_'))).toEqual([])
        expect(end.stdout).toContain('GREETING=a b\n=c')
        expect(end.stdout).toContain('LANG=C\n')
        expect(end.stdout).not.toContain('of the worker')
      })

      it('gets no descriptor but its three pipes, whatever its worker was started with', async () => {
        const secret = join(place.root, 'secret')
        writeFileSync(secret, 'secret')
        const fd = openSync(secret, 'r')
        const script = `ls -l /proc/self/fd | sed -n 's/.* \\([0-9]*\\) -> /\\1 /p' > fds.new; mv fds.new fds; sleep 1000`
        const spec = sh(script, { workspaceFolder: workspace, workspaceAccess: 'rw' })
        await using _worker = await startOtherWorker(name, cacheRoot, spec, [fd, fd])
        await eventually(() => existsSync(join(workspace, 'fds')), 'the agent looked')
        const links = readFileSync(join(workspace, 'fds'), 'utf8').trim().split('\n')
        for (const link of links) expect(link).toMatch(/^[0-2] |^3 \/proc\/\d+\/fd$|^\d+ \/dev\/null$/)
        expect(links.filter((link) => link.includes('secret'))).toEqual([])
        if (process.getuid?.() === 0) expect(holdersOf(secret)).toEqual([])
      })

      it('reads and writes pipes, over which no descriptor can be sent, and may open them by name', async () => {
        const script = 'stat -Lc %F /proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2; echo named > /proc/self/fd/1'
        const end = await runToEnd(sandbox, sh(`${script}; echo other > /proc/self/fd/2`))
        expect(end).toMatchObject({ stdout: 'fifo\nfifo\nfifo\nnamed\n', stderr: 'other\n', code: 0 })
      })

      it('finds its files at /agent, and cannot change them', async () => {
        const files = { 'main.mjs': 'console.log("from a file")', 'deep/er/data.txt': 'ü' }
        const end = await runToEnd(sandbox, makeSpec({ command: ['node', '/agent/main.mjs'], files }))
        expect(end).toMatchObject({ stdout: 'from a file\n', code: 0 })
        const attempt = await runToEnd(
          sandbox,
          sh(
            'cd "$MUSTER_AGENT_FOLDER"; cat deep/er/data.txt; echo x > main.mjs || echo refused; rm -rf deep; chmod 777 . ; ls',
            { files },
          ),
        )
        expect(attempt.stdout).toBe('ürefused\ndeep\nmain.mjs\n')
      })

      it('finds its bundle at /agent, runs a program in it, and cannot change it', async () => {
        const bundleFolder = join(place.root, 'bundle')
        mkdirSync(join(bundleFolder, 'bin'), { recursive: true })
        writeFileSync(join(bundleFolder, 'bin/hello'), '#!/bin/sh\ncat "$MUSTER_AGENT_FOLDER/data"\n', { mode: 0o755 })
        writeFileSync(join(bundleFolder, 'data'), 'bundled', { mode: 0o644 })
        const end = await runToEnd(sandbox, makeSpec({ command: ['/agent/bin/hello'], bundleFolder }))
        expect(end).toMatchObject({ stdout: 'bundled', code: 0 })
        await runToEnd(
          sandbox,
          sh('cd "$MUSTER_AGENT_FOLDER"; echo x > data; echo x > more; rm -rf bin; chmod 777 .', { bundleFolder }),
        )
        expect(readFileSync(join(bundleFolder, 'data'), 'utf8')).toBe('bundled')
        expect(readdirSync(bundleFolder).sort()).toEqual(['bin', 'data'])
      })

      it('finds attachments where the variable says', async () => {
        const attachmentsFolder = join(place.root, 'attachments')
        mkdirSync(attachmentsFolder)
        writeFileSync(join(attachmentsFolder, 'note.txt'), 'attached')
        const end = await runToEnd(sandbox, sh('cat "$MUSTER_ATTACHMENTS_FOLDER/note.txt"', { attachmentsFolder }))
        expect(end.stdout).toBe('attached')
      })

      it('works in the session folder, and what it writes stays', async () => {
        await runToEnd(sandbox, sh('echo kept > note', { workspaceFolder: workspace, workspaceAccess: 'rw' }))
        expect(readFileSync(join(workspace, 'note'), 'utf8')).toBe('kept\n')
        expect(statSync(join(workspace, 'note')).uid).toBe(AGENT?.uid ?? process.getuid?.())
        expect(statSync(join(workspace, 'note')).mode & 0o777).toBe(0o644)
      })

      it('works in an empty folder of its own without workspace access', async () => {
        const end = await runToEnd(
          sandbox,
          sh('ls -A; echo x > gone && ls', { workspaceFolder: workspace, workspaceAccess: 'none' }),
        )
        expect(end).toMatchObject({ stdout: 'gone\n', code: 0 })
        expect((await runToEnd(sandbox, sh('ls -A'))).stdout).toBe('')
      })

      it('runs without privilege, inside and outside, and cannot gain any', async () => {
        const marker = uniqueSleep()
        const spec = sh(`grep -E "^(Uid|CapEff|NoNewPrivs)" /proc/self/status; sleep ${marker}`)
        const process = startedProcess(await sandbox.start(spec))
        await eventually(() => living(`sleep ${marker}`).some((one) => one.command.startsWith('sleep')), 'it sleeps')
        const own = sessionUser(spec.group.sessionId ?? '')?.uid ?? globalThis.process.getuid?.()
        for (const { uid } of living(marker)) expect(uid).toBe(own)
        const [status] = await once(process.stdout, 'data')
        expect(String(status)).not.toMatch(/Uid:\t(0\t|.*\t0\b)/)
        expect(String(status)).toMatch(/CapEff:\t0+\n/)
        expect(String(status)).toMatch(/NoNewPrivs:\t1/)
        await process.kill()
      })
    })

    describe('the end of a sandbox', () => {
      it('leaves no process of a tree alive after kill', async () => {
        const sleep = uniqueSleep()
        const process = startedProcess(await sandbox.start(sh(`${tree(sleep)}; exec sleep ${sleep}`)))
        await once(process.stdout, 'data')
        expect(living(sleep).length).toBeGreaterThanOrEqual(5)
        await process.kill()
        expect(living(sleep)).toEqual([])
        await process.kill()
      })

      it('leaves no process of a tree alive when the agent exits by itself', async () => {
        const sleep = uniqueSleep()
        const end = await runToEnd(sandbox, sh(`${tree(sleep)}; exit 3`))
        expect(end).toMatchObject({ stdout: 'planted\n', code: 3 })
        expect(living(sleep)).toEqual([])
      })

      it('can be killed in the instant it was started', async () => {
        const marks = Array.from({ length: 10 }, uniqueSleep)
        await Promise.all(
          marks.map(async (sleep) => {
            const process = startedProcess(await sandbox.start(makeSpec({ command: ['sleep', sleep] })))
            await process.kill()
            expect(living(sleep)).toEqual([])
          }),
        )
      })

      it('leaves no process alive that calls itself one of another sandbox', async () => {
        const sleep = uniqueSleep()
        const name = groupMarker({ runId: newId('run'), sessionId: null, generation: 1 }, 'other')
        const spec = makeSpec({
          command: ['bash', '-c', `set -m; (exec -a ${name} sleep ${sleep}) & sleep 0.2; exit 0`],
        })
        expect(await runToEnd(sandbox, spec)).toMatchObject({ code: 0 })
        expect(living(sleep)).toEqual([])
      })

      it('dies with a worker that is killed', async () => {
        const sleep = uniqueSleep()
        const script = `trap '' HUP TERM; setsid sleep ${sleep} & (sleep ${sleep} &) ; exec sleep ${sleep}`
        await using worker = await startOtherWorker(name, cacheRoot, sh(script))
        await eventually(
          () => living(`sleep ${sleep} `).filter((one) => one.command.startsWith('sleep')).length === 3,
          'it runs',
        )
        await worker.end()
        await eventually(() => living(sleep).length === 0, 'the agent died')
      })

      it.skipIf(capabilities.isolation !== 'namespaces' || process.arch !== 'x64')(
        'dies with a worker that is killed, though the agent took its init over (machine code for x64)',
        async () => {
          const sleep = uniqueSleep()
          const over = { command: ['node', '/agent/take.mjs'], files: { 'take.mjs': takeInitOver(sleep) } }
          await using worker = await startOtherWorker(name, cacheRoot, makeSpec(over))
          await eventually(() => living(`sleep ${sleep}`).length > 0, 'it runs')
          await worker.end()
          await eventually(() => living(sleep).length === 0, 'the agent died')
        },
      )

      it('dies with a worker that is killed while it is being started', async () => {
        for (let round = 0; round < 3; round += 1) {
          const sleep = uniqueSleep()
          const spec = sh(`sleep ${sleep} & exec sleep ${sleep}`)
          await using worker = await startOtherWorker(
            name,
            cacheRoot,
            spec,
            [],
            process.getuid?.(),
            'starting-worker.ts',
          )
          await worker.end()
          // A child that was forked and not yet replaced still looks like its worker.
          await eventually(
            () => living(`starting-worker.ts ${name} ${cacheRoot}`).length === 0,
            'no child is on its way',
          )
          await eventually(() => living(sleep).length === 0, 'all sandboxes died')
        }
      })

      it('does not begin its program when its owner is no longer sure of the run', async () => {
        const sleep = uniqueSleep()
        const spec = sh(`touch began; exec sleep ${sleep}`, { workspaceFolder: workspace, workspaceAccess: 'rw' })
        const outcome = await sandbox.start(spec, async () => {
          await eventually(() => findSandboxes({ runId: spec.group.runId }).length > 0, 'it can be found')
          return false
        })
        expect(outcome).toEqual({ kind: 'refused' })
        expect(findSandboxes({ runId: spec.group.runId })).toEqual([])
        expect(() => statSync(join(workspace, 'began'))).toThrow()
      })

      it('begins its program once its owner is sure', async () => {
        const process = startedProcess(await sandbox.start(sh('echo began'), async () => true))
        expect(String((await once(process.stdout, 'data'))[0])).toBe('began\n')
        expect(await process.exited).toMatchObject({ code: 0 })
      })
    })

    describe('killing what another worker left behind', () => {
      it('kills the group of a suspended worker, and only attempts of lower generation', async () => {
        const sleep = uniqueSleep()
        const group = { runId: newId('run'), sessionId: newId('session'), generation: 4 }
        await using worker = await startOtherWorker(
          name,
          cacheRoot,
          sh(`${tree(sleep)}; exec sleep ${sleep}`, { group }),
        )
        await eventually(() => living(sleep).length >= 5, 'the tree is planted')
        worker.child.kill('SIGSTOP')
        await eventually(() => stateOf(worker.pid) === 'T', 'the worker is suspended')
        expect(await killGroup({ runId: group.runId, generationBelow: 4 })).toEqual({ kind: 'gone', killed: 0 })
        expect(await killGroup({ runId: newId('run') })).toEqual({ kind: 'gone', killed: 0 })
        expect(living(sleep).length).toBeGreaterThanOrEqual(5)
        const outcome = await killGroup({ runId: group.runId, generationBelow: 5 })
        expect(outcome.kind === 'gone' && outcome.killed > 0).toBe(true)
        expect(living(sleep)).toEqual([])
        expect(stateOf(worker.pid)).toBe('T')
      })

      it('finds a sandbox by its session too', async () => {
        const sleep = uniqueSleep()
        const spec = makeSpec({ command: ['sleep', sleep] })
        const process = startedProcess(await sandbox.start(spec))
        await killGroup({ sessionId: spec.group.sessionId ?? '' })
        expect(living(sleep)).toEqual([])
        const exit = await process.exited
        expect(exit.code === 137 || exit.signal === 'SIGKILL').toBe(true)
        expect(exit.fault).toBeNull()
      })
    })

    if (capabilities.isolation === 'namespaces') {
      attacksContract(sandbox, () => place.root, workspace)
      isolationContract(sandbox, () => place.root, workspace)
      syscallsContract(sandbox, () => place.root, name.startsWith('runc') ? 'of the runtime' : 'ours')
    }
  })
}
