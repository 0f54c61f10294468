/**
 * Clears up behind a measurement: started with the path of its folder, it waits until the process that started it lets go or dies, then ends
 * every process recorded below the folder and removes it.
 */
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type ProcessRecord, stopProcess } from '@muster/runtime'
import { z } from 'zod'

/** What servers and programs leave of themselves, in `server.json` and `*.process.json`. */
const recordSchema = z.object({ process: z.object({ pid: z.int(), started: z.string() }).nullable() })
const RECORD = /(^|\/)(server|[^/]+\.process)\.json$/
const KILL = { signal: 'SIGKILL', waitMs: 10_000 } as const

const LOOK_MS = 500
const LOOKS = 60

const [, , folder = ''] = process.argv

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined)
process.once('disconnect', () => {
  clear().then(
    () => process.exit(0),
    (error: unknown) => {
      process.stderr.write(`muster bench: ${folder} could not be cleared: ${String(error)}\n`)
      process.exit(1)
    },
  )
})

/** Until the folder stays away: what was being set up when the other process died may still write. */
async function clear(): Promise<void> {
  let left: unknown
  for (let look = 0; look < LOOKS && existsSync(folder); look++) {
    try {
      const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) => RECORD.test(path))
      await Promise.all(paths.map((path) => end(join(folder, path))))
      rmSync(folder, { recursive: true, force: true })
    } catch (error) {
      left = error
    }
    await sleep(LOOK_MS)
  }
  if (existsSync(folder)) throw left
}

async function end(path: string): Promise<void> {
  const record = recordIn(readFileSync(path, 'utf8'))
  if (record !== null) await stopProcess(record, 'process', [KILL])
}

/** Null for one that was cut short while it was written. */
function recordIn(text: string): ProcessRecord | null {
  try {
    return recordSchema.parse(JSON.parse(text)).process
  } catch {
    return null
  }
}
