import { rmSync } from 'node:fs'
import { writePrivateFile } from '@muster/runtime'

/** What a program needs to use a fleet of this machine; the field names are public. */
export type ReadyFile = {
  readonly url: string
  readonly api_key: string
  readonly admin_token: string
  readonly gateway_pid: number
  readonly worker_pids: readonly number[]
  readonly database_url: string
  readonly redis_url: string
}

export function writeReadyFile(file: string, content: ReadyFile): void {
  writePrivateFile(file, `${JSON.stringify(content, null, 2)}\n`)
}

export function removeReadyFile(file: string): void {
  rmSync(file, { force: true })
}
