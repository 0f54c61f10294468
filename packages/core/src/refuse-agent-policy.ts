import type { PolicyInput } from '@muster/contracts'
import { AppError } from './app-error.ts'
import { namedFields, normalizePolicy } from './normalize-policy.ts'
import { unsupportedPolicy } from './unsupported-policy.ts'

/**
 * Throws `policy_unsupported` for an agent's policy that no fleet of this version can hold, so that nobody learns of it only by the
 * refusal of each command. Which limits the nodes can hold is asked anew for each command, and not here.
 */
export function refuseAgentPolicy(policy: PolicyInput | null | undefined): void {
  const given = policy ?? undefined
  const faults = unsupportedPolicy(normalizePolicy(given, undefined), namedFields(given, undefined), null)
  if (faults.length === 0) return
  throw new AppError('policy_unsupported', faults.map((fault) => fault.detail).join('; '), {
    faults: faults.map(({ pointer, detail }) => ({ pointer: `/config${pointer}`, detail })),
  })
}
