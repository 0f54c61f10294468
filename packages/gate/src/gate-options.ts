/** How a gate reaches its Redis. */
export type GateOptions = {
  readonly redisUrl: string
  /** The name that every key of the fleet carries: `[a-z0-9-]{1,32}`; default `muster`. */
  readonly fleet?: string
  readonly timeoutsMs?: {
    /** Every call that no other entry covers; default 250. */
    readonly call?: number
    /** `start`, `release` and `restore`; default 1,000. */
    readonly worker?: number
    /** `load` and `recount`; default 10,000. */
    readonly load?: number
    /** How long live events are sent after it was last said that somebody reads any; default 3,000. */
    readonly audience?: number
  }
  /** Told of faults that no call reports: lost connections, BullMQ's own errors. `source` names the part. */
  readonly onError?: (error: Error, source: string) => void
  /** Tests only: the clock of the scripts in epoch ms, instead of Redis TIME. */
  readonly now?: () => number
}
