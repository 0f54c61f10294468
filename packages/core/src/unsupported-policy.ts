import type { Fault, Policy, ResourceName } from '@muster/contracts'

/**
 * What this fleet cannot enforce, by field; empty when all of it can be held. `held`: the resources that a node of the
 * policy's pool can bound, or null where no such node lives, so that nobody can say.
 */
export function unsupportedPolicy(policy: Policy, held: ReadonlySet<ResourceName> | null): readonly Fault[] {
  const faults: Fault[] = []
  if (policy.ask !== 'off')
    faults.push({ pointer: '/policy/ask', detail: `ask "${policy.ask}" is not supported, only "off"` })
  if (policy.security !== 'allowlist')
    faults.push({
      pointer: '/policy/security',
      detail: `security "${policy.security}" is not supported, only "allowlist"`,
    })
  if (policy.interactive) faults.push({ pointer: '/policy/interactive', detail: 'interactive runs are not supported' })
  for (const name of policy.named_resources ?? []) {
    if (held !== null && !held.has(name))
      faults.push({
        pointer: `/policy/resources/${name}`,
        detail: `no node can hold a limit on ${name}; omit it to run without`,
      })
  }
  return faults
}
