/** How much of an agent's output is kept, in bytes of UTF-8 unless the name says otherwise. */
export type AgentBounds = {
  /** A plain line of stdout or stderr; the rest of it is cut. */
  readonly lineBytes: number
  /** A line of the protocol. A longer `result` or `error` fails the run. */
  readonly messageBytes: number
  /** The data of one event. */
  readonly eventBytes: number
  /** All events of one pipe; what comes later is drained and not kept. */
  readonly streamBytes: number
  /** Events a second, after a second's worth at once: an agent with more is read more slowly. */
  readonly eventsPerSecond: number
  /**
   * Milliseconds of the worker's main thread a second that it takes to read what an agent says, after a second's worth at once: what
   * many small values cost is not told by their bytes, and all agents of a worker share that thread.
   */
  readonly readMsPerSecond: number
  /** The plain text of stdout that becomes the output of a run without `result`. */
  readonly outputBytes: number
  /** All snapshots of one attempt; later ones are not saved. */
  readonly snapshotBytes: number
  /** How long an agent may live on after its `result` or `error`. */
  readonly resultGraceMs: number
  /** How long after its end an agent's events are still kept; later ones are cut, and only what decides the outcome is heard. */
  readonly drainMs: number
}

export const DEFAULT_AGENT_BOUNDS: AgentBounds = {
  lineBytes: 64 * 1024,
  messageBytes: 1024 * 1024,
  eventBytes: 256 * 1024,
  streamBytes: 8 * 1024 * 1024,
  eventsPerSecond: 2_000,
  readMsPerSecond: 50,
  outputBytes: 1024 * 1024,
  snapshotBytes: 64 * 1024 * 1024,
  resultGraceMs: 2_000,
  // Full pipes take far less to be written, and a run past its time is taken for lost after 30 s.
  drainMs: 5_000,
}
