import { closeSync, openSync, readdirSync, readFileSync, write } from 'node:fs'
import { rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises'
import { promisify } from 'node:util'
import { codeOf } from '../error-code.ts'
import { identifyProcess, killProcess } from '../host-process.ts'
import { isScarcity, patiently } from '../scarcity.ts'

/** What the kernel counted while the group lived. */
export type CgroupReport = { readonly memoryKills: number }

/** The control group of one attempt, in every tree that bounds it. */
export type AttemptCgroup = {
  /** Its folder in each tree, to read `pidsBelow` from in another thread. */
  readonly folders: readonly string[]
  /** Puts a process, and whatever it starts from now on, under the limits. Rejects when the kernel refuses. */
  join(pid: number): Promise<void>
  /** The host's numbers of the processes in it. */
  pids(): readonly number[]
  /** Kills what is in it until nothing is, reads the counters and removes it. Never rejects; repeated, it answers the same. */
  end(): Promise<CgroupReport>
}

/** A group that is busy for longer is left to the sweep of leftovers. */
const REMOVE_TRIES = 40
const QUICK_TURNS = 8
const PAUSE_MS_MAX = 20

/** `folders` are the group's own, one a tree; `memoryFolder` the one that bounds memory, if any does. */
export function attemptCgroup(folders: readonly string[], memoryFolder: string | null): AttemptCgroup {
  let ending: Promise<CgroupReport> | null = null

  function pids(): readonly number[] {
    return [...new Set(folders.flatMap((folder) => pidsBelow(folder)))]
  }

  async function finish(): Promise<CgroupReport> {
    for (let turn = 0; ; turn += 1) {
      const left = await patiently(() => pids().flatMap((pid) => identifyProcess(pid) ?? []))
      if (left.length === 0) break
      for (const one of left) killProcess(one)
      await (turn < QUICK_TURNS ? nextTurn() : delay(Math.min(turn - QUICK_TURNS + 1, PAUSE_MS_MAX)))
    }
    const report = { memoryKills: memoryFolder === null ? 0 : await patiently(() => memoryKillsBelow(memoryFolder)) }
    await Promise.all(folders.map(removeCgroup))
    return report
  }

  return {
    folders,
    pids,
    async join(pid) {
      // One after another: the first waits for the kernel, which the others then need not.
      for (const folder of folders) await moveInto(join(folder, 'cgroup.procs'), pid)
    },
    end() {
      ending ??= finish()
      return ending
    },
  }
}

/** Puts a process into the group whose `cgroup.procs` this is. Only the write may wait for the kernel, so only it leaves the main thread. */
export async function moveInto(procs: string, pid: number): Promise<void> {
  const file = openSync(procs, 'r+')
  try {
    await writeText(file, String(pid))
  } finally {
    closeSync(file)
  }
}

const writeText = promisify((file: number, text: string, done: (error: Error | null) => void) =>
  write(file, text, done),
)

/** The processes of a group and of all groups below it; none when it does not exist. Throws where that cannot be told. */
export function pidsBelow(folder: string): number[] {
  const own = readText(join(folder, 'cgroup.procs')).split('\n').map(Number)
  // A process of another pid namespace has no number here.
  return [...own.filter((pid) => pid > 0), ...foldersIn(folder).flatMap((name) => pidsBelow(join(folder, name)))]
}

/** Removes an empty group and the groups below it; one that is busy or gone is left alone. */
export async function removeCgroup(folder: string): Promise<boolean> {
  for (const name of await patiently(() => foldersIn(folder))) await removeCgroup(join(folder, name))
  for (let turn = 0; turn < REMOVE_TRIES; turn += 1) {
    const code = await rmdir(folder).then(() => null, codeOf)
    if (code !== 'EBUSY') return code === null
    const isUsed = await patiently(() => pidsBelow(folder).some((pid) => identifyProcess(pid) !== null))
    if (isUsed) return false
    await delay(Math.min(turn + 1, PAUSE_MS_MAX))
  }
  return false
}

/** The kernel counts a kill in the group of its victim; only version 2 adds it up. */
function memoryKillsBelow(folder: string): number {
  const events = readText(join(folder, 'memory.events'))
  if (events !== '') return countIn(events)
  const own = countIn(readText(join(folder, 'memory.oom_control')))
  return foldersIn(folder).reduce((sum, name) => sum + memoryKillsBelow(join(folder, name)), own)
}

const countIn = (text: string): number => Number(/^oom_kill (\d+)$/m.exec(text)?.[1] ?? 0)

function foldersIn(folder: string): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []))
  } catch (error) {
    if (isScarcity(error)) throw error
    return []
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (isScarcity(error)) throw error
    return ''
  }
}
