import { text } from 'node:stream/consumers'
import type { SandboxSpec } from '../src/index.ts'
import { adapter } from './adapters.ts'

/** A worker of its own, to be stopped or killed: starts one sandbox, says so, and then only lives. */
const [runtime, cacheRoot] = process.argv.slice(2)
const sandbox = adapter(runtime ?? '', cacheRoot ?? '')
const wanted: SandboxSpec = JSON.parse(await text(process.stdin))
const outcome = await sandbox.start(wanted)
process.stdout.write(`${outcome.kind}\n`)
setInterval(() => undefined, 60_000)
