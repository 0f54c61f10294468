import type { Fault, Policy } from '@muster/contracts'

/** What this fleet cannot enforce yet, by field; empty when all of it can be held. `held`: resources that its sandboxes can limit. */
export function unsupportedPolicy(
  policy: Policy,
  named: readonly string[],
  held: ReadonlySet<string>,
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
  for (const name of named) {
    if (!held.has(name))
      faults.push({
        pointer: `/policy/resources/${name}`,
        detail: `no node can hold a limit on ${name}; omit it to run without`,
      })
  }
  return faults
}
