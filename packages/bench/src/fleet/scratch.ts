import { fork } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/**
 * A folder for everything that a measurement writes. Every process that is recorded in it is ended, and the folder removed, when this is
 * disposed of or when this process dies, however it dies.
 */
export type Scratch = {
  /** Passable for every account. */
  readonly folder: string
  /** A new folder below it that every account can read. */
  site(name: string): string
  [Symbol.asyncDispose](): Promise<void>
}

export function openScratch(): Scratch {
  const folder = mkdtempSync(join(tmpdir(), 'muster-bench-'))
  chmodSync(folder, 0o711)
  const entry = fileURLToPath(new URL('caretaker.ts', import.meta.url))
  // A process group of its own: the Ctrl-C of a terminal must not end it before it has cleared up.
  const caretaker = fork(entry, [folder], { detached: true, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  const gone = once(caretaker, 'exit')
  gone.catch(() => undefined)
  return {
    folder,
    site(name) {
      const path = join(folder, name)
      mkdirSync(path, { mode: 0o755 })
      return path
    },
    async [Symbol.asyncDispose]() {
      if (caretaker.connected) caretaker.disconnect()
      if (caretaker.exitCode === null && caretaker.signalCode === null) await gone
    },
  }
}
