import { Worker } from 'node:worker_threads'
import type { ClaimingPair, HeldPair } from '@muster/store'
import type { FromBeat, ToBeat } from './beat-messages.ts'
import { ToldPairs } from './told-pairs.ts'

export type Beat = {
  /** The thread is there and waits for the node's name; rejects when it broke instead. */
  readonly ready: Promise<void>
  /** From now on beats say that this node lives. */
  name(nodeId: string): void
  /** From now on beats name the run as held. */
  hold(pair: HeldPair): void
  drop(pair: HeldPair): void
  /** From now on beats name the run as being claimed. To be said before the gate is asked. */
  claiming(pair: ClaimingPair): void
  claimed(pair: ClaimingPair): void
  draining(): void
  /** Beats at once, for an answer that is awaited. */
  hurry(): void
  stop(): Promise<void>
}

export type BeatListener = {
  readonly onLost: (pair: HeldPair) => void
  readonly onCancel: (pair: HeldPair, reason: string) => void
  readonly onDead: (nodeId: string) => void
  readonly onCutOff: () => void
  readonly onTrouble: (message: string) => void
  /** The thread itself died: the node cannot be trusted any longer. */
  readonly onBroken: (error: Error) => void
}

const TURN_MS = 500
/** How long changes gather before the thread hears of them: little beside the second between two beats. */
const GATHER_MS = 100

/** Starts the beat in a thread of its own, whose loading may take longer than a node may be silent: name it once it is ready. */
export function startBeat(options: { readonly databaseUrl: string }, listener: BeatListener): Beat {
  const turns = new SharedArrayBuffer(4)
  const turn = setInterval(() => Atomics.add(new Int32Array(turns), 0, 1), TURN_MS)
  const thread = new Worker(new URL('./beat-thread.ts', import.meta.url), { workerData: { ...options, turns } })
  let stopping = false
  const ready = Promise.withResolvers<void>()
  const ended = Promise.withResolvers<void>()
  let onBroken: BeatListener['onBroken'] = ready.reject

  thread.on('message', (message: FromBeat) => {
    switch (message.type) {
      case 'ready':
        onBroken = listener.onBroken
        return ready.resolve()
      case 'answer':
        for (const pair of message.lost) listener.onLost(pair)
        for (const { reason, ...pair } of message.cancel) listener.onCancel(pair, reason ?? 'cancelled')
        return
      case 'dead':
        return listener.onDead(message.nodeId)
      case 'cut_off':
        return listener.onCutOff()
      case 'trouble':
        return listener.onTrouble(message.message)
    }
  })
  thread.on('error', (error) => onBroken(error instanceof Error ? error : new Error(String(error))))
  thread.on('exit', (code) => {
    ended.resolve()
    if (!stopping) onBroken(new Error(`the beat ended with ${code}`))
  })

  let gathering: NodeJS.Timeout | null = null
  const tellSoon = (): void => {
    gathering ??= setTimeout(() => tell([]), GATHER_MS)
  }
  const held = new ToldPairs<HeldPair>((pair) => `${pair.runId}/${pair.generation}`, tellSoon)
  const claiming = new ToldPairs<ClaimingPair>((pair) => `${pair.runId}/${pair.admission}`, tellSoon)
  /** What changed goes ahead, so that a beat that is asked for names it. */
  const tell = (orders: readonly ToBeat[]): void => {
    if (gathering !== null) clearTimeout(gathering)
    gathering = null
    const [hold, claim] = [held.takeChanges(), claiming.takeChanges()]
    const messages: readonly ToBeat[] = [
      ...hold.began.map((pair): ToBeat => ({ type: 'hold', pair })),
      ...hold.ended.map((pair): ToBeat => ({ type: 'drop', pair })),
      ...claim.began.map((pair): ToBeat => ({ type: 'claiming', pair })),
      ...claim.ended.map((pair): ToBeat => ({ type: 'claimed', pair })),
      ...orders,
    ]
    if (messages.length > 0) thread.postMessage(messages)
  }
  return {
    ready: ready.promise,
    name: (nodeId) => tell([{ type: 'node', nodeId }]),
    hold: (pair) => held.begin(pair),
    drop: (pair) => held.end(pair),
    claiming: (pair) => claiming.begin(pair),
    claimed: (pair) => claiming.end(pair),
    draining: () => tell([{ type: 'draining' }]),
    hurry: () => tell([{ type: 'hurry' }]),
    async stop() {
      stopping = true
      clearInterval(turn)
      tell([{ type: 'stop' }])
      await ended.promise
    },
  }
}
