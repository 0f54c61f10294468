import { closeSync, constants, openSync, rmSync, unlinkSync } from 'node:fs'
import { mkdir, mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import { removeAbandoned } from './remove-abandoned.ts'
import { runCommand } from './run-command.ts'

export type PipeEnds = { readonly read: number; readonly write: number }

export type Pipes = {
  /** Opens so many new pipes; who asked closes both ends of each. Rejects where descriptors or the folder are wanting, and leaves none open. */
  open(count: number): Promise<readonly PipeEnds[]>
}

const PREFIX = 'pipes-'
/** How many are made by one process: for some thirty starts. */
const MADE = 192
/** Everybody may open what is its own by name, as `/dev/stdout`; the folder keeps others out. */
const MODE = '666'

/** Those that this process made, for its end; what a killed one leaves is removed days later. */
const folders = new Set<string>()
process.once('exit', () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

/**
 * Pipes of the kernel's for what agents read and write. What Node makes for a child are sockets, over which an agent can send descriptors:
 * the worker would close them as it reads, in its main thread and for as long as the agent likes (a connection that lingers), or hold
 * them unread. Named in a folder below `root`, made some at a time since that takes a process, and nameless as soon as they are open.
 */
export function createPipes(root: string): Pipes {
  const names: string[] = []
  let folder: Promise<string> | null = null
  let making: Promise<void> | null = null
  let last = 0

  async function makeFolder(): Promise<string> {
    await mkdir(root, { recursive: true, mode: 0o755 })
    await removeAbandoned(root, PREFIX)
    const made = await mkdtemp(join(root, PREFIX))
    folders.add(made)
    return made
  }

  async function make(): Promise<void> {
    folder ??= makeFolder()
    try {
      const within = await folder
      const made = Array.from({ length: MADE }, () => join(within, String(++last)))
      await runCommand('mkfifo', ['-m', MODE, ...made])
      names.push(...made)
    } catch (error) {
      // It may have been deleted with all that was in it.
      folder = null
      names.length = 0
      throw error
    }
  }

  function makeMore(): Promise<void> {
    making ??= make().finally(() => {
      making = null
    })
    return making
  }

  async function take(): Promise<string> {
    for (;;) {
      const name = names.pop()
      if (name !== undefined) return name
      await makeMore()
    }
  }

  async function open(count: number): Promise<readonly PipeEnds[]> {
    const opened: PipeEnds[] = []
    try {
      while (opened.length < count) opened.push(openNamed(await take()))
    } catch (error) {
      for (const { read, write } of opened) for (const end of [read, write]) closeSync(end)
      names.length = 0
      throw error
    }
    return opened
  }

  return { open }
}

/** Opened for both first, as either end alone would wait for the other. */
function openNamed(path: string): PipeEnds {
  const ends: number[] = []
  try {
    for (const flags of [constants.O_RDWR, constants.O_RDONLY, constants.O_WRONLY]) ends.push(openSync(path, flags))
  } catch (error) {
    for (const end of ends) closeSync(end)
    throw error
  } finally {
    unlinkSync(path)
  }
  const [both = -1, read = -1, write = -1] = ends
  closeSync(both)
  return { read, write }
}
