import { createWatchdog } from '../src/watchdog.ts'

/** A worker with a watchdog, and no sandbox, to be killed. */
createWatchdog(process.argv[2]).ensure()
process.stdout.write('watched\n')
setInterval(() => undefined, 60_000)
