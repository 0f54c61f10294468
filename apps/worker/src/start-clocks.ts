import type { Ticker } from '@muster/engine'
import { type Clock, type PacedWarn, startClock } from '@muster/runtime'

const TICK_MS = 1000
const SWEEP_MS = 100

/** Tries for the tick each second and sweeps the gate each 100 ms. */
export function startClocks(ticker: Ticker, warn: PacedWarn): Clock {
  const clocks = [startClock(TICK_MS, () => ticker.tick(), warn), startClock(SWEEP_MS, () => ticker.sweep(), warn)]
  return {
    async stop() {
      await Promise.all(clocks.map((clock) => clock.stop()))
    },
  }
}
