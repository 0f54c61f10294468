import { text } from 'node:stream/consumers'
import type { SandboxSpec } from '../src/index.ts'
import { adapter } from './adapters.ts'

/** A worker that never stops starting sandboxes, to be killed in the middle of it. Says a line for each. */
const [runtime, cacheRoot] = process.argv.slice(2)
const sandbox = adapter(runtime ?? '', cacheRoot ?? '')
const wanted: SandboxSpec = JSON.parse(await text(process.stdin))
for (let generation = 1; ; generation += 1) {
  const outcome = await sandbox.start({ ...wanted, group: { ...wanted.group, generation } })
  process.stdout.write(`${outcome.kind}\n`)
}
