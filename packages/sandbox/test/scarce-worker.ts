import { closeSync, openSync } from 'node:fs'
import { adapter } from './adapters.ts'
import { makeSpec } from './place.ts'

/** A worker that runs out of descriptors and gets them back one by one. Says a line for each start that it tries meanwhile. */
const [runtime, cacheRoot] = process.argv.slice(2)
const sandbox = adapter(runtime ?? '', cacheRoot ?? '')

async function tryStart(): Promise<string> {
  const outcome = await sandbox.start(makeSpec({ command: ['sh', '-c', 'exit 7'] }))
  if (outcome.kind !== 'started') return outcome.kind
  outcome.process.stdout.resume()
  outcome.process.stderr.resume()
  const exit = await outcome.process.exited
  return `exit ${exit.code}`
}

await tryStart()
const taken: number[] = []
try {
  for (;;) taken.push(openSync('/dev/null', 'r'))
} catch {
  for (const fd of taken.reverse().slice(0, 60)) {
    process.stdout.write(`${await tryStart()}\n`)
    closeSync(fd)
  }
}
process.exit()
