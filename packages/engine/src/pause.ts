import { setTimeout } from 'node:timers/promises'

/** Waits; rejects when the signal aborts. */
export const pause = (ms: number, signal?: AbortSignal): Promise<void> =>
  setTimeout(ms, undefined, signal === undefined ? {} : { signal })
