import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { adapter, missingFor } from './adapters.ts'
import { runKept } from './agent-run.ts'
import { makePlace, makeSpec, runToEnd, startedProcess } from './place.ts'

const PYTHON = '/usr/bin/python3'
const RESOURCES = { cpu: 1, memory_mb: 512, pids: 64, disk_mb: 16 }

const FILES = `exec perl -MPOSIX -e 'for (1..40) { next if fork; open F, "</dev/null"; POSIX::dup(fileno F) for 1..4000; sleep 100 } sleep 100'`

/** Terminals of which a process keeps `kept`, to the word of which it is named. */
const terminals = (count: number, kept: string) => `exec ${PYTHON} -c '
import os, time
made = [os.openpty() for n in range(${count})]
for pair in made: os.close(pair[${kept === 'master' ? 1 : 0}])
print("made", flush=True)
time.sleep(4 if ${count} < 65 else 100)'`

describe.each(['bubblewrap', 'bubblewrap without control groups', 'runc'])('what an agent takes in %s', (name) => {
  const missing = missingFor(name) ?? (process.getuid?.() === 0 ? null : 'another user may not be looked into')
  const place = makePlace()
  const sandbox = adapter(name, join(place.root, 'cache'))
  const sh = (script: string) => makeSpec({ command: ['sh', '-c', script], resources: RESOURCES })
  const outcomeOf = async (script: string) => await runKept(startedProcess(await sandbox.start(sh(script)))).outcome
  afterAll(() => place.remove())

  it.skipIf(missing !== null)('of open files ends it, without a workspace too', { timeout: 60_000 }, async () => {
    const outcome = await outcomeOf(FILES)
    expect(outcome).toMatchObject({ kind: 'failed', failure: { code: 'disk_limit_exceeded' } })
    expect(outcome.kind === 'failed' && outcome.failure.message).toContain('files open')
  })

  // A runtime is given a bound for its own file system of terminals.
  it.skipIf(missing !== null || !existsSync(PYTHON) || name === 'runc').each(['master', 'slave'])(
    'of terminals ends it, though it holds only the %s of each (needs python)',
    { timeout: 60_000 },
    async (kept) => {
      const outcome = await outcomeOf(terminals(100, kept))
      expect(outcome).toMatchObject({ kind: 'failed', failure: { code: 'disk_limit_exceeded' } })
      expect(outcome.kind === 'failed' && outcome.failure.message).toContain('64 terminals')
    },
  )

  it.skipIf(missing !== null || !existsSync(PYTHON))(
    'of a few terminals is its own affair (needs python)',
    { timeout: 60_000 },
    async () => {
      expect(await runToEnd(sandbox, sh(terminals(20, 'master')))).toMatchObject({ code: 0, breach: null })
    },
  )
})
