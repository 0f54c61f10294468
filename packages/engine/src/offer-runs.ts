import type { Offer } from '@muster/store'
import { admit } from './admit.ts'
import type { EngineContext } from './engine-context.ts'

const PAGE = 500

/** Offers runs to the gate and sends off what it admits. Lost offers are found again by the reconciler. */
export async function offerRuns(context: EngineContext, offers: readonly Offer[]): Promise<boolean> {
  for (let start = 0; start < offers.length; start += PAGE) {
    const page = offers.slice(start, start + PAGE)
    if (!(await admit(context, () => context.gate.offer(page)))) return false
  }
  return true
}
