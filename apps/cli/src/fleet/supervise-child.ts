import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface, type Interface } from 'node:readline'
import { Readable } from 'node:stream'
import { type ProcessRecord, processRecord, signalProcess } from '@muster/runtime'
import { FleetError } from './fleet-error.ts'

/** A line of a child's log: its fields when it is a JSON object, else its text. */
export type ChildLine = Readonly<Record<string, unknown>> | string

export type ChildOptions = {
  /** For the log: `gateway`, `worker-1`. */
  readonly name: string
  /** The program's TypeScript file. */
  readonly entry: string
  /** Asked at each start, since a restarted gateway keeps the port it was given. */
  readonly env: () => Readonly<Record<string, string | undefined>>
  /** The `msg` of the line by which the child says that it is ready. */
  readonly readyMessage: string
  readonly onLine: (name: string, line: ChildLine) => void
  readonly onReady: (line: Readonly<Record<string, unknown>>) => void
  readonly onStart: () => void
  readonly onExit: (how: ChildExit) => void
  readonly backoffMs?: { readonly first: number; readonly most: number; readonly stableAfter: number }
}

export type ChildExit = {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly restartInMs: number | null
}

export type SupervisedChild = {
  readonly name: string
  /** Null between two lives. */
  process(): ProcessRecord | null
  /** Resolves at the first readiness; rejects when the child ends too often before it, or says that its configuration is at fault. */
  readonly firstReady: Promise<void>
  /** SIGTERM, then patience, then SIGKILL of its group; it is not started again. */
  stop(patienceMs: number): Promise<void>
  /** SIGKILL of its group at once. */
  kill(): void
}

const BACKOFF = { first: 200, most: 5000, stableAfter: 10_000 }
const STARTS_BEFORE_READY = 5
const EXIT_CONFIG = 2

/**
 * Keeps a program running: in a process group of its own, restarted when it ends, waiting longer each time until it has run stably. The
 * child holds an IPC channel to this process and so notices when this process is gone.
 */
export function superviseChild(options: ChildOptions): SupervisedChild {
  const backoff = options.backoffMs ?? BACKOFF
  const firstReady = Promise.withResolvers<void>()
  firstReady.promise.catch(() => undefined)
  let current: { readonly record: ProcessRecord; readonly ended: Promise<void> } | null = null
  let restart: NodeJS.Timeout | null = null
  let delayMs = backoff.first
  let starts = 0
  let wasReady = false
  let stopping = false

  const start = (): void => {
    restart = null
    starts++
    const startedAt = performance.now()
    const child = spawn(process.execPath, [options.entry], {
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      env: options.env(),
    })
    const ended = Promise.withResolvers<void>()
    const record = child.pid === undefined ? null : processRecord(child.pid)
    current = record === null ? null : { record, ended: ended.promise }
    child.once('error', () => undefined)
    child.once('close', (code, signal) => {
      current = null
      ended.resolve()
      if (performance.now() - startedAt > backoff.stableAfter) delayMs = backoff.first
      const hopeless = !wasReady && (code === EXIT_CONFIG || starts >= STARTS_BEFORE_READY)
      if (hopeless)
        firstReady.reject(
          new FleetError(
            `${options.name} does not start (${signal ?? `exit code ${code}`}); what it said stands above`,
          ),
        )
      const again = !stopping && !hopeless
      options.onExit({ code, signal, restartInMs: again ? delayMs : null })
      if (!again) return
      restart = setTimeout(start, delayMs)
      delayMs = Math.min(delayMs * 2, backoff.most)
    })
    readLines(child, (line) => {
      options.onLine(options.name, line)
      if (typeof line === 'string' || line['msg'] !== options.readyMessage) return
      wasReady = true
      options.onReady(line)
      firstReady.resolve()
    })
    options.onStart()
  }
  start()

  const endRestarts = (): void => {
    stopping = true
    if (restart !== null) clearTimeout(restart)
    firstReady.reject(new Error(`${options.name} was stopped`))
  }
  return {
    name: options.name,
    process: () => current?.record ?? null,
    firstReady: firstReady.promise,
    stop: async (patienceMs) => {
      endRestarts()
      const last = current
      if (last === null) return
      signalProcess(last.record, 'process', 'SIGTERM')
      const timer = setTimeout(() => signalProcess(last.record, 'group', 'SIGKILL'), patienceMs)
      await last.ended
      clearTimeout(timer)
    },
    kill: () => {
      endRestarts()
      if (current !== null) signalProcess(current.record, 'group', 'SIGKILL')
    },
  }
}

function readLines(child: ChildProcess, onLine: (line: ChildLine) => void): void {
  // A child that could not be made, for want of descriptors, has none.
  const streams = [child.stdout, child.stderr].filter((stream) => stream instanceof Readable)
  const readers: Interface[] = streams.map((input) => createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY }))
  for (const reader of readers) reader.on('line', (text) => onLine(parseLine(text)))
}

function parseLine(text: string): ChildLine {
  if (!text.startsWith('{')) return text
  try {
    const value: unknown = JSON.parse(text)
    return isObject(value) ? value : text
  } catch {
    return text
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
