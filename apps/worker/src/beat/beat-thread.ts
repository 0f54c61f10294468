import { setTimeout as delay } from 'node:timers/promises'
import { parentPort, workerData } from 'node:worker_threads'
import { killGroup } from '@muster/sandbox'
import { beatNode, type ClaimingPair, type HeldPair, openPool } from '@muster/store'
import type { BeatOptions, FromBeat, ToBeat } from './beat-messages.ts'

/**
 * The thread that says once a second that this node lives, over its own connection, so that a busy main thread does not look like a dead
 * worker. A main thread that stands still for 30 beats is taken for hung: its sandboxes are killed, then the process.
 */
const EVERY_MS = 1000
const HUNG_BEATS = 30
const CUT_OFF_BEATS = 30

const options: BeatOptions = workerData
const port = parentPort
if (port === null) throw new Error('the beat runs in a thread of a worker')

const held = new Map<string, HeldPair>()
const claiming = new Map<string, ClaimingPair>()
const turns = new Int32Array(options.turns)
let nodeId = options.nodeId
let phase: 'active' | 'draining' = 'active'
let stopped = false
let wake = new AbortController()

const tell = (message: FromBeat): void => port.postMessage(message)
const keyOf = (pair: HeldPair): string => `${pair.runId}/${pair.generation}`
const claimKeyOf = (pair: ClaimingPair): string => `${pair.runId}/${pair.admission}`

port.on('message', (message: ToBeat) => {
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
})

const pool = openPool({
  url: options.databaseUrl,
  poolSize: 1,
  queryMs: 2000,
  onError: (error) => tell({ type: 'trouble', message: error.message }),
})

let missed = 0
let still = 0
let lastTurn = -1
while (!stopped) {
  const began = performance.now()
  await beatOnce()
  await watchMainThread()
  const rest = Math.max(0, EVERY_MS - (performance.now() - began))
  await delay(rest, undefined, { signal: wake.signal }).catch(() => undefined)
  if (wake.signal.aborted) wake = new AbortController()
}
await pool.end()
port.close()

async function beatOnce(): Promise<void> {
  const saidAs = nodeId
  try {
    const answer = await beatNode(pool, {
      nodeId: saidAs,
      held: [...held.values()],
      claiming: [...claiming.values()],
      used: held.size + claiming.size,
      phase,
    })
    missed = 0
    if (!answer.alive) tell({ type: 'dead', nodeId: saidAs })
    else if (answer.lost.length > 0 || answer.cancel.length > 0)
      tell({ type: 'answer', nodeId: saidAs, lost: answer.lost, cancel: answer.cancel })
  } catch (error) {
    missed++
    tell({ type: 'trouble', message: error instanceof Error ? error.message : String(error) })
    if (missed === CUT_OFF_BEATS) tell({ type: 'cut_off' })
  }
}

async function watchMainThread(): Promise<void> {
  const turn = Atomics.load(turns, 0)
  still = turn === lastTurn ? still + 1 : 0
  lastTurn = turn
  if (still < HUNG_BEATS) return
  await Promise.allSettled([...held.values()].map((pair) => killGroup({ runId: pair.runId })))
  process.kill(process.pid, 'SIGKILL')
}
