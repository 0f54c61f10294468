import { setTimeout as delay } from 'node:timers/promises'
import { parentPort, workerData } from 'node:worker_threads'
import { killGroup } from '@muster/sandbox'
import { beatNode, type ClaimingPair, type HeldPair, openPool } from '@muster/store'
import type { BeatOptions, FromBeat, ToBeat } from './beat-messages.ts'

/**
 * The thread that says once a second that this node lives, over its own connection, so that a busy main thread does not look like a dead
 * worker. A main thread that stands still for 30 s is taken for hung: its sandboxes are killed, then the process.
 */
const EVERY_MS = 1000
const HUNG_MS = 30_000
const CUT_OFF_MS = 30_000
/** What one round can add to either: a process that was stopped for long must not take that time for its own. */
const ROUND_MS_MAX = 4 * EVERY_MS

const options: BeatOptions = workerData
const port = parentPort
if (port === null) throw new Error('the beat runs in a thread of a worker')

const held = new Map<string, HeldPair>()
const claiming = new Map<string, ClaimingPair>()
const turns = new Int32Array(options.turns)
let nodeId: string | null = null
let phase: 'active' | 'draining' = 'active'
let stopped = false
let wake = new AbortController()

const tell = (message: FromBeat): void => port.postMessage(message)
const keyOf = (pair: HeldPair): string => `${pair.runId}/${pair.generation}`
const claimKeyOf = (pair: ClaimingPair): string => `${pair.runId}/${pair.admission}`

port.on('message', (messages: readonly ToBeat[]) => {
  for (const message of messages) hear(message)
})

function hear(message: ToBeat): void {
  switch (message.type) {
    case 'hold':
      held.set(keyOf(message.pair), message.pair)
      return
    case 'drop':
      held.delete(keyOf(message.pair))
      return
    case 'claiming':
      claiming.set(claimKeyOf(message.pair), message.pair)
      return
    case 'claimed':
      claiming.delete(claimKeyOf(message.pair))
      return
    case 'node':
      nodeId = message.nodeId
      break
    case 'draining':
      phase = 'draining'
      break
    case 'hurry':
      break
    case 'stop':
      stopped = true
      break
  }
  wake.abort()
}

const pool = openPool({
  url: options.databaseUrl,
  poolSize: 1,
  queryMs: 2000,
  onError: (error) => tell({ type: 'trouble', message: error.message }),
})

let answeredMsAgo = 0
let toldCutOff = false
let stillMs = 0
let lastTurn = -1
let roundBegan = performance.now()
tell({ type: 'ready' })
while (!stopped) {
  const began = performance.now()
  const roundMs = Math.min(began - roundBegan, ROUND_MS_MAX)
  roundBegan = began
  await watchMainThread(roundMs)
  if (nodeId !== null) await beatOnce(nodeId, roundMs)
  const rest = Math.max(0, EVERY_MS - (performance.now() - began))
  await delay(rest, undefined, { signal: wake.signal }).catch(() => undefined)
  if (wake.signal.aborted) wake = new AbortController()
}
await pool.end()
port.close()

async function beatOnce(saidAs: string, roundMs: number): Promise<void> {
  try {
    const answer = await beatNode(pool, {
      nodeId: saidAs,
      held: [...held.values()],
      claiming: [...claiming.values()],
      used: held.size + claiming.size,
      phase,
    })
    answeredMsAgo = 0
    toldCutOff = false
    if (!answer.alive) tell({ type: 'dead', nodeId: saidAs })
    else if (answer.lost.length > 0 || answer.cancel.length > 0)
      tell({ type: 'answer', nodeId: saidAs, lost: answer.lost, cancel: answer.cancel })
  } catch (error) {
    answeredMsAgo += roundMs
    tell({ type: 'trouble', message: error instanceof Error ? error.message : String(error) })
    if (answeredMsAgo < CUT_OFF_MS || toldCutOff) return
    toldCutOff = true
    tell({ type: 'cut_off' })
  }
}

async function watchMainThread(roundMs: number): Promise<void> {
  const turn = Atomics.load(turns, 0)
  stillMs = turn === lastTurn ? stillMs + roundMs : 0
  lastTurn = turn
  if (stillMs < HUNG_MS) return
  await Promise.allSettled([...held.values()].map((pair) => killGroup({ runId: pair.runId })))
  process.kill(process.pid, 'SIGKILL')
}
