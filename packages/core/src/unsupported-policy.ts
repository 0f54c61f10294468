import type { Fault, Policy, ResourceName } from '@muster/contracts'

/**
 * What this fleet cannot enforce, by field; empty when all of it can be held. `named`: the fields that were asked for by name;
 * `held`: the resources that a node of the policy's pool can bound, or null where no such node lives, so that nobody can say.
 */
export function unsupportedPolicy(
  policy: Policy,
  named: ReadonlySet<string>,
  held: ReadonlySet<ResourceName> | null,
): readonly Fault[] {
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
  if (policy.runtime_type === 'none') faults.push(...unwalled(policy, named))
  return faults
}

/** Walls that were asked for by name and that a run without a sandbox does not have. */
function unwalled(policy: Policy, named: ReadonlySet<string>): readonly Fault[] {
  const faults: Fault[] = []
  if (policy.workspace_access !== 'rw')
    faults.push({
      pointer: '/policy/workspace_access',
      detail: `runtime_type "none" cannot hold workspace_access "${policy.workspace_access}"`,
    })
  if (!policy.network_enabled && named.has('network_enabled'))
    faults.push({ pointer: '/policy/network_enabled', detail: 'runtime_type "none" cannot turn the network off' })
  return faults
}
