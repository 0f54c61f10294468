import type { Ticker } from '@muster/engine'
import type { PacedWarn } from '@muster/runtime'

const TICK_MS = 1000
const SWEEP_MS = 100

/** Tries for the tick each second and sweeps the gate each 100 ms; neither overlaps with itself. */
export function startClocks(ticker: Ticker, warn: PacedWarn): { stop(): Promise<void> } {
  const clocks = [
    every(TICK_MS, async () => {
      await ticker.tick()
    }),
    every(SWEEP_MS, () => ticker.sweep()),
  ]
  return {
    async stop() {
      await Promise.all(clocks.map((clock) => clock.stop()))
    },
  }

  function every(ms: number, work: () => Promise<void>): { stop(): Promise<void> } {
    let underway: Promise<void> | null = null
    const timer = setInterval(() => {
      underway ??= work()
        .catch((error: unknown) => warn(error, {}, 'a clock turned in vain'))
        .finally(() => {
          underway = null
        })
    }, ms)
    return {
      async stop() {
        clearInterval(timer)
        await underway
      },
    }
  }
}
