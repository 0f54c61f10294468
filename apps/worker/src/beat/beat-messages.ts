import type { ClaimingPair, HeldPair } from '@muster/store'

export type BeatOptions = {
  readonly databaseUrl: string
  /** Counted up by the main thread; one that stands still for 30 s hangs. */
  readonly turns: SharedArrayBuffer
}

/** From the main thread: what the node has in hand, as it changes. */
export type ToBeat =
  | { readonly type: 'hold' | 'drop'; readonly pair: HeldPair }
  | { readonly type: 'claiming' | 'claimed'; readonly pair: ClaimingPair }
  /** Beats go on under this id; none goes out before the first. */
  | { readonly type: 'node'; readonly nodeId: string }
  | { readonly type: 'draining' }
  /** Beat now: the answer is awaited. */
  | { readonly type: 'hurry' }
  | { readonly type: 'stop' }

/** To the main thread: that the thread is there, then what each beat was answered. */
export type FromBeat =
  | { readonly type: 'ready' }
  | {
      readonly type: 'answer'
      readonly nodeId: string
      readonly lost: readonly HeldPair[]
      readonly cancel: readonly (HeldPair & { readonly reason: string | null })[]
    }
  /** The database knows this node as dead. */
  | { readonly type: 'dead'; readonly nodeId: string }
  /** No beat got through for 30 s. */
  | { readonly type: 'cut_off' }
  | { readonly type: 'trouble'; readonly message: string }
