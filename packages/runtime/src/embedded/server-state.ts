import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { z } from 'zod'
import { readFileIfAny, writePrivateFile } from '../private-file.ts'

const serverStateSchema = z.object({
  password: z.string(),
  port: z.int().nullable(),
  process: z.object({ pid: z.int(), started: z.string() }).nullable(),
})

/** What one start of an embedded server leaves for the next: the password, the port to prefer, and the process that served last. */
export type ServerState = z.infer<typeof serverStateSchema>

export function readServerState(folder: string): ServerState {
  const text = readFileIfAny(join(folder, 'server.json'))
  if (text === null) return { password: randomBytes(24).toString('base64url'), port: null, process: null }
  return serverStateSchema.parse(JSON.parse(text))
}

export function writeServerState(folder: string, state: ServerState): void {
  writePrivateFile(join(folder, 'server.json'), `${JSON.stringify(state, null, 2)}\n`)
}
