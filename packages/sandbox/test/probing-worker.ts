import { adapter } from './adapters.ts'

/** A worker of its own, with whatever rights and limits it is given: says what its probe answers. */
const [runtime, cacheRoot] = process.argv.slice(2)
const probe = await adapter(runtime ?? '', cacheRoot ?? '').probe()
process.stdout.write(`${JSON.stringify(probe)}\n`)
process.exit()
