import type { Offer } from '@muster/store'
import type { EngineContext } from './engine-context.ts'
import { tellGate } from './tell-gate.ts'

const PAGE = 500

/** Offers runs to the gate, which admits what may start. Lost offers are found again by the reconciler. */
export async function offerRuns(context: EngineContext, offers: readonly Offer[]): Promise<boolean> {
  for (let start = 0; start < offers.length; start += PAGE) {
    const page = offers.slice(start, start + PAGE)
    if (!(await tellGate(() => context.gate.offer(page)))) return false
  }
  return true
}
