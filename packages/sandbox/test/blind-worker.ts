import { closeSync, openSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { killGroup } from '../src/index.ts'
import { adapter } from './adapters.ts'
import { living, makeSpec, uniqueSleep } from './place.ts'

/** A worker that kills a sandbox while it has no descriptor left to look for it with. Says what it is told, and what lived on then. */
const [runtime, cacheRoot] = process.argv.slice(2)
const sandbox = adapter(runtime ?? '', cacheRoot ?? '')
const sleep = uniqueSleep()
const spec = makeSpec({ command: ['sleep', sleep] })
const outcome = await sandbox.start(spec)
if (outcome.kind !== 'started') throw new Error(outcome.kind)
// What it took to start the sandbox is given back a moment later.
await delay(500)
const taken: number[] = []
try {
  for (;;) taken.push(openSync('/dev/null', 'r'))
} catch {
  const blind = await killGroup({ runId: spec.group.runId }, { timeoutMs: 300 })
  const killed = outcome.process.kill()
  setTimeout(() => {
    for (const fd of taken) closeSync(fd)
  }, 300)
  await killed
  const left = living(sleep).length
  const seeing = await killGroup({ runId: spec.group.runId })
  process.stdout.write(`${blind.kind} ${seeing.kind} ${left}\n`)
}
process.exit()
