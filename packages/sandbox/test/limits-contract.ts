import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { ResourceName } from '@muster/contracts'
import { afterAll, describe, expect, it } from 'vitest'
import { openCgroups } from '../src/cgroup/open-cgroups.ts'
import type { Sandbox } from '../src/index.ts'
import { runKept } from './agent-run.ts'
import { HIDING } from './hidden-files.ts'
import {
  eventually,
  living,
  makePlace,
  makeSpec,
  makeWorkspace,
  runToEnd,
  startedProcess,
  uniqueSleep,
} from './place.ts'

const here = await openCgroups()
const PYTHON = '/usr/bin/python3'

/** What an agent tries against the host, and what stops it. `holds`: the resources that the adapter bounds here. */
export function limitsContract(sandbox: Sandbox, holds: ReadonlySet<ResourceName>): void {
  const bash = (script: string, over = {}) => makeSpec({ command: ['bash', '-c', script], ...over })
  const start = async (spec: ReturnType<typeof makeSpec>) => startedProcess(await sandbox.start(spec))
  const small = { cpu: 1, memory_mb: 128, pids: 64, disk_mb: 64 }

  describe('an agent that wants more than its share', { timeout: 60_000 }, () => {
    it.skipIf(!holds.has('memory_mb'))('of memory ends, and is told why (needs a bound on memory)', async () => {
      const run = runKept(await start(makeSpec({ command: ['tail', '/dev/zero'], resources: small })))
      const outcome = await run.outcome
      expect(outcome).toMatchObject({ kind: 'failed', failure: { code: 'memory_limit_exceeded' } })
      expect(outcome.kind === 'failed' && outcome.failure.message).toContain('128 MiB')
    })

    it.skipIf(!holds.has('memory_mb'))('of memory by files ends so too (needs a bound on memory)', async () => {
      const fill = '/tmp /dev/shm $HOME'.split(' ').map((folder) => `head -c 60M /dev/zero > ${folder}/x`)
      const run = runKept(await start(bash(`${fill.join('; ')}; exit 3`, { resources: small })))
      expect(await run.outcome).toMatchObject({ kind: 'failed', failure: { code: 'memory_limit_exceeded' } })
    })

    it.skipIf(!holds.has('memory_mb'))('of memory in a child may cope with the loss of it', async () => {
      const script = 'tail /dev/zero; echo "child: $?"; exit 0'
      const end = await runToEnd(sandbox, bash(script, { resources: small }))
      expect(end).toMatchObject({ stdout: 'child: 137\n', code: 0, breach: { resource: 'memory' } })
    })

    it('may be given the most that a policy can name, and the least cpu', async () => {
      const most = { cpu: 1024, memory_mb: 4_194_304, pids: 4_194_304, disk_mb: 1_073_741_824 }
      expect(await runToEnd(sandbox, makeSpec({ resources: most }))).toMatchObject({ code: 0, fault: null })
      const least = { ...small, cpu: 0.001 }
      const process = await start(makeSpec({ command: ['sleep', '100'], resources: least }))
      await process.kill()
    })

    it('is not said to have met a limit when it is merely killed', async () => {
      const run = runKept(await start(bash('kill -9 $$; sleep 1')))
      expect(await run.outcome).toMatchObject({ kind: 'failed', failure: { code: 'agent_exit' } })
    })

    it.skipIf(!holds.has('pids'))(
      'of processes gets no more of them, and all end with it (needs a bound on pids)',
      async () => {
        const sleep = uniqueSleep()
        const bomb = `echo go; f() { f | f & }; for i in $(seq 200); do sleep ${sleep} 2>/dev/null & done 2>/dev/null; f 2>/dev/null; wait`
        const process = await start(bash(bomb, { resources: small }))
        process.stdout.resume()
        process.stderr.resume()
        await eventually(() => living(sleep).length > 30, 'it grows')
        for (let round = 0; round < 20; round += 1) {
          expect(living(sleep).length).toBeLessThanOrEqual(small.pids + 4)
          await delay(20)
        }
        await process.kill()
        expect(living(sleep)).toEqual([])
      },
    )

    it.skipIf(!holds.has('cpu'))('of cpu is slowed down to its share (needs a bound on cpu)', async () => {
      const script = `for i in 1 2; do timeout 2 sh -c 'while :; do :; done' & done; wait; times`
      const end = await runToEnd(sandbox, bash(script, { resources: { ...small, cpu: 0.2 } }))
      const seconds = [...end.stdout.matchAll(/(\d+)m([\d.]+)s/g)].reduce(
        (sum, [, m, s]) => sum + Number(m) * 60 + Number(s),
        0,
      )
      expect(seconds).toBeGreaterThan(0.05)
      expect(seconds).toBeLessThan(1)
    })

    it('of its host goes before all others there', async () => {
      expect(await runToEnd(sandbox, bash('cat /proc/self/oom_score_adj'))).toMatchObject({ stdout: '1000\n' })
    })

    it('of output is kept to its bound, and goes on until it is stopped', async () => {
      const run = runKept(await start(makeSpec({ command: ['yes', 'endless'] })), { streamBytes: 1024 * 1024 })
      await eventually(() => JSON.stringify(run.events.at(-1) ?? {}).includes('output cut'), 'the cut is visible')
      await run.cancel('enough', 0)
      expect(await run.outcome).toMatchObject({ kind: 'stopped' })
      expect(JSON.stringify(run.events).length).toBeLessThan(4 * 1024 * 1024)
    })

    describe('of its workspace (needs a bound on disk)', { concurrent: true, skip: !holds.has('disk_mb') }, () => {
      const place = makePlace()
      const workspace = (name: string) => {
        const folder = makeWorkspace(join(place.root, name))
        return { workspaceFolder: folder, workspaceAccess: 'rw' as const, resources: { ...small, disk_mb: 16 } }
      }
      afterAll(() => place.remove())

      it.each([
        ['many files', 'for i in 1 2 3; do head -c 10M /dev/zero > $i; done; sleep 100', '16 MiB'],
        ['one file', 'head -c 100M /dev/zero > one; exit 1', '16 MiB'],
        [
          'files that it deleted and holds',
          'exec 5>a 6>b 7>c; rm a b c; for i in 5 6 7; do head -c 10M /dev/zero >&$i; done; sleep 100',
          '16 MiB',
        ],
        ['a file whose name is no text', `head -c 40M /dev/zero > $'\\377\\376'; sleep 100`, '16 MiB'],
        [
          'a file at the end of a path too long',
          `exec perl -e 'for (1..25) { mkdir "d" x 200; chdir "d" x 200 } open F, ">x"; print F "x" x 40e6; close F; sleep 100'`,
          'too deeply',
        ],
        [
          'files that it holds open more often than anybody can look at',
          `exec perl -MPOSIX -e 'for (1..24) { next if fork; open F, "</dev/null"; POSIX::dup(fileno F) for 1..4000; sleep 100 } sleep 100'`,
          'too many to be measured',
        ],
        [
          'a million names of one file',
          `exec perl -e 'open F, ">f"; close F; for my $d ("a".."z") { mkdir $d; link "f", "$d/$_" for 1..1000 } sleep 100'`,
          'names',
        ],
        [
          'a million small files',
          'i=0; while :; do mkdir $i; (cd $i; touch {1..500}); i=$((i + 1)); done',
          '4096 files',
        ],
      ])('ends by %s, for good', async (title, script, words) => {
        const over = workspace(title.replaceAll(' ', '-'))
        const outcome = await runKept(await start(bash(script, over))).outcome
        expect(outcome).toMatchObject({ kind: 'failed', failure: { code: 'disk_limit_exceeded', retryable: false } })
        expect(outcome.kind === 'failed' && outcome.failure.message).toContain(words)
      })

      it.skipIf(!existsSync(PYTHON))(
        'ends by files that threads hold whose first one has ended (needs python)',
        async () => {
          const exit = process.arch === 'arm64' ? 93 : 60
          const script = `exec ${PYTHON} -c '
import ctypes, os, threading, time
def hold():
  held = [open(name, "wb") for name in "abcd"]
  for f in held: os.unlink(f.name); f.write(bytes(10_000_000)); f.flush()
  time.sleep(100)
threading.Thread(target=hold).start()
ctypes.CDLL(None).syscall(${exit}, 0)'`
          const outcome = await runKept(await start(bash(script, workspace('first-thread')))).outcome
          expect(outcome).toMatchObject({ kind: 'failed', failure: { code: 'disk_limit_exceeded', retryable: false } })
        },
      )

      it.skipIf(!existsSync(PYTHON)).each([
        ['a socket', 'ours, theirs = socket.socketpair()'],
        ['a socket that lies in another', 'ours, theirs = socket.socketpair(); theirs = nested(theirs)'],
        [
          'a connection that is not accepted',
          'theirs = socket.socket(socket.AF_UNIX); theirs.bind("s"); theirs.listen(); ours = socket.socket(socket.AF_UNIX); ours.connect("s")',
        ],
      ])('ends by files that it deleted and holds only in messages to %s (needs python)', async (title, pair) => {
        const script = `exec ${PYTHON} -c '
import os, socket, time
def nested(inner):
  ours, theirs = socket.socketpair()
  socket.send_fds(ours, [b"x"], [inner.fileno()])
  return theirs
${pair}
for n in range(150):
  with open("x", "wb") as f: os.unlink("x"); f.write(bytes(4_000_000)); f.flush(); socket.send_fds(ours, [b"x"], [f.fileno()])
  time.sleep(0.3)'`
        const outcome = await runKept(await start(bash(script, workspace(title.replaceAll(' ', '-'))))).outcome
        expect(outcome).toMatchObject({ kind: 'failed', failure: { code: 'disk_limit_exceeded', retryable: false } })
        expect(outcome.kind === 'failed' && outcome.failure.message).toContain('nobody received')
      })

      it.skipIf(!existsSync(PYTHON)).each(HIDING)(
        'ends by files that it hides %s (needs python)',
        async (title, script) => {
          const over = workspace(title.replaceAll(' ', '-'))
          const files = { 'try.py': script }
          const run = runKept(await start(makeSpec({ command: [PYTHON, '/agent/try.py'], files, ...over })))
          const outcome = await run.outcome
          expect(outcome).toMatchObject({ kind: 'failed', failure: { code: 'disk_limit_exceeded', retryable: false } })
          expect(outcome.kind === 'failed' && outcome.failure.message).toContain('16 MiB')
        },
      )

      it('may use all it has, and fill and empty it', async () => {
        const script = 'for i in 1 2 3 4 5; do head -c 12M /dev/zero > x; sleep 0.3; rm x; done; touch {1..3000}'
        expect(await runToEnd(sandbox, bash(script, workspace('within')))).toMatchObject({ code: 0, breach: null })
      })
    })

    it.skipIf(!existsSync(PYTHON) || process.getuid?.() !== 0)(
      'of what the kernel counts by user takes it from itself alone (needs python and a worker that is root)',
      async () => {
        const instances = (n: number, then: string) => `exec ${PYTHON} -c '
import ctypes, time
made = [ctypes.CDLL(None).inotify_init1(0) for n in range(${n})]
print("refused" if made[-1] < 0 else "made", flush=True)
${then}'`
        const greedy = await start(bash(instances(5_000, 'time.sleep(100)')))
        const [said] = await once(greedy.stdout, 'data')
        expect(String(said)).toBe('refused\n')
        expect(await runToEnd(sandbox, bash(instances(1, '')))).toMatchObject({ stdout: 'made\n', code: 0 })
        await greedy.kill()
      },
    )

    it.skipIf(holds.size < 2)('leaves no control group behind (needs control groups)', async () => {
      const spec = bash('(sleep 1000 &) ; exit 0')
      await runToEnd(sandbox, spec)
      expect(here.pathsOf(spec.group).filter((path) => existsSync(path))).toEqual([])
    })
  })
}
