import type { PolicyInput } from '@muster/contracts'
import { aboveCeilings, type Ceilings } from './above-ceilings.ts'
import { AppError } from './app-error.ts'
import { namedFields, normalizePolicy } from './normalize-policy.ts'
import { unsupportedPolicy } from './unsupported-policy.ts'

/**
 * Throws `policy_unsupported` for an agent's policy that no fleet of this version can hold, or that is above what the operator lets a run
 * have, so that nobody learns of it only by the refusal of each command. Which limits the nodes can hold is asked anew for each command,
 * and not here.
 */
export function refuseAgentPolicy(policy: PolicyInput | null | undefined, ceilings: Ceilings): void {
  const given = policy ?? undefined
  const normal = normalizePolicy(given, undefined)
  const faults = [
    ...unsupportedPolicy(normal, namedFields(given, undefined), null),
    ...aboveCeilings(normal.resources, ceilings),
  ]
  if (faults.length === 0) return
  throw new AppError('policy_unsupported', faults.map((fault) => fault.detail).join('; '), {
    faults: faults.map(({ pointer, detail }) => ({ pointer: `/config${pointer}`, detail })),
  })
}
