import { setTimeout as delay } from 'node:timers/promises'
import type { Failure, JsonValue, ToAgent } from '@muster/contracts'
import { addUsage, NO_USAGE } from '@muster/core'
import { type AgentBounds, DEFAULT_AGENT_BOUNDS } from './agent-bounds.ts'
import { type AgentEvent, cutText, logEvent } from './agent-event.ts'
import type { AgentExecution, AgentMessage, AgentOutcome, AgentTask } from './agent-execution.ts'
import { agentFailure, refusedFailure, tooLongFailure } from './agent-failure.ts'
import { describeExit } from './describe-exit.ts'
import { drainPipes } from './drain-pipes.ts'
import { createPace } from './pace.ts'
import { readAgentStderr } from './read-agent-stderr.ts'
import { readAgentStdout } from './read-agent-stdout.ts'
import { type ReadCost } from './reading-turns.ts'
import { createRelease } from './release.ts'

const PROMPT_BYTES = 8 * 1024

type Verdict =
  | { readonly kind: 'succeeded'; readonly output: JsonValue }
  | { readonly kind: 'failed'; readonly failure: Failure }

/** Speaks the agent process protocol with a running sandbox until it is empty. */
export function runAgent(task: AgentTask): AgentExecution {
  const { process } = task
  const bounds = { ...DEFAULT_AGENT_BOUNDS, ...task.bounds }
  const pace = createPace(bounds.eventsPerSecond)
  const readPace = createPace(bounds.readMsPerSecond)
  let usage = NO_USAGE
  const release = createRelease()
  const emptied = createRelease()
  const ended = new AbortController()
  let verdict: Verdict | null = null
  let stopReason: string | null = null
  /** By us, for not ending in time: how it then ended says nothing. */
  let killed = false
  let fault: { readonly error: unknown } | null = null
  let slowed = false
  let offered: Promise<void> = Promise.resolve()

  /** One call at a time, so that the events of both pipes have one order. */
  function offer(events: readonly AgentEvent[], cost: ReadCost): Promise<void> {
    if (cost.count > 0) offered = offered.then(() => paced(events, cost))
    return offered
  }

  async function paced(events: readonly AgentEvent[], cost: ReadCost): Promise<void> {
    const eventsMs = pace.spend(cost.count)
    const readMs = readPace.spend(cost.ms)
    const waitMs = Math.max(eventsMs, readMs)
    const batch =
      waitMs > 0 && !slowed
        ? [...events, slowedEvent(slowReason(bounds, eventsMs >= readMs ? 'events' : 'reading'))]
        : events
    slowed ||= waitMs > 0
    const saved = batch.length > 0 ? await guarded(() => task.onEvents(batch)) : undefined
    const last = saved?.at(-1)
    if (last !== undefined) void tellSaved(last)
    // One that has ended makes no more.
    if (waitMs > 0) await release.wait(emptied.wait(delay(waitMs)))
  }

  async function guarded<T>(call: () => Promise<T>): Promise<T | undefined> {
    if (release.isOpen) return undefined
    try {
      return await release.wait(call())
    } catch (error) {
      fault ??= { error }
      unattended(stop())
      return undefined
    }
  }

  /** The first word counts. After a cancel only a result does: an error is then no more than the way it ended. */
  function decide(made: Verdict): void {
    if (verdict !== null || (stopReason !== null && made.kind === 'failed')) return
    verdict = made
    unattended(killAfter(bounds.resultGraceMs))
  }

  function refuse(failure: Failure): void {
    decide({ kind: 'failed', failure })
    killed = true
    unattended(process.kill())
  }

  async function killAfter(graceMs: number): Promise<void> {
    const exited = process.exited.then(() => 'exited')
    const over = delay(graceMs, 'over', { signal: ended.signal }).catch(() => 'exited')
    if ((await Promise.race([exited, over])) === 'exited') return exited.then(() => undefined)
    killed = true
    await process.kill()
  }

  function write(message: ToAgent): Promise<'written' | 'closed'> {
    return process.stdin.write(`${lineOf(message)}\n`)
  }

  let savedSeq = 0
  let telling = false
  /** An agent that does not read gets one pending answer, not one per snapshot. */
  async function tellSaved(seq: number): Promise<void> {
    savedSeq = seq
    if (telling) return
    telling = true
    for (let told = 0; told !== savedSeq; ) {
      told = savedSeq
      if ((await write({ type: 'snapshot_saved', seq: told })) === 'closed') return
    }
    telling = false
  }

  const stdout = readAgentStdout({
    bounds,
    offer,
    onUsage: (report) => {
      usage = addUsage(usage, report)
    },
    onResult: (output) => decide({ kind: 'succeeded', output }),
    onError: (message) => decide({ kind: 'failed', failure: agentFailure(message) }),
    onAsk: (message) => refuse(askedFailure(message)),
    onTooLong: (word) => refuse(tooLongFailure(word, bounds.messageBytes)),
    onRefused: (line) => decide({ kind: 'failed', failure: refusedFailure(line) }),
  })
  const stderr = readAgentStderr({ bounds, offer })

  async function cancel(reason: string, graceMs: number): Promise<void> {
    stopReason ??= reason
    void write({ type: 'cancel', reason, grace_ms: graceMs })
    await killAfter(graceMs)
  }

  async function stop(): Promise<void> {
    stopReason ??= 'stopped'
    release.open()
    await process.kill()
  }

  async function run(): Promise<AgentOutcome> {
    unattended(process.exited.finally(() => emptied.open()))
    void write(task.start)
    const exit = await drainPipes(process, bounds.drainMs, [
      { stream: process.stdout, ...stdout },
      { stream: process.stderr, ...stderr },
    ])
    ended.abort()
    await offered
    if (fault !== null) throw fault.error
    const ending = { usage, exitCode: exit.code }
    if (release.isOpen) return { kind: 'stopped', reason: stopReason ?? 'stopped', ...ending }
    // a result does not hide that the agent then failed
    const failure = killed || stopReason !== null ? null : describeExit(exit, stderr.tail())
    if (verdict?.kind === 'succeeded' && failure === null) return { ...verdict, outputTruncated: false, ...ending }
    if (verdict?.kind === 'failed') return { ...verdict, ...ending }
    if (stopReason !== null) return { kind: 'stopped', reason: stopReason, ...ending }
    if (failure !== null) return { kind: 'failed', failure, ...ending }
    return { kind: 'succeeded', ...stdout.collected(), ...ending }
  }

  return { outcome: run(), write, cancel, stop }
}

/** Work whose outcome nobody waits for: how the sandbox ended is told by `exited`, and to whoever awaits the agent's outcome. */
function unattended(work: Promise<unknown>): void {
  work.catch(() => undefined)
}

/** Readers of lines, Node's among them, take these two for ends of lines, and JSON does not escape them by itself. */
const LINE_ENDS = /[\u2028\u2029]/g

const lineOf = (message: ToAgent): string =>
  JSON.stringify(message).replace(LINE_ENDS, (end) => `\\u${end.charCodeAt(0).toString(16)}`)

const slowReason = (bounds: AgentBounds, of: 'events' | 'reading'): string =>
  of === 'events'
    ? `more than ${bounds.eventsPerSecond} events a second`
    : `what it says takes more than ${bounds.readMsPerSecond} ms a second to be read`

const slowedEvent = (why: string): AgentEvent => logEvent('agent', `[slowed down: ${why}]`)

function askedFailure(message: AgentMessage<'ask'>): Failure {
  const prompt = cutText(message.prompt, PROMPT_BYTES)
  return {
    code: 'agent_asked',
    message: `The agent asked for ${message.kind} ("${prompt}"); this fleet does not support asking yet.`,
    retryable: false,
  }
}
