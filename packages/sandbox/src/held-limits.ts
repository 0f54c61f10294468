import type { AttemptLimits, ResourceName } from '@muster/contracts'

const LIMIT_NAMES = { cpu: 'cpu', memory_mb: 'memory', pids: 'pids', disk_mb: 'disk' } as const

/** What an attempt says of each resource. */
export function heldLimits(held: ReadonlySet<ResourceName>): AttemptLimits {
  const limits: AttemptLimits = {}
  for (const name of ['cpu', 'memory_mb', 'pids', 'disk_mb'] as const) {
    limits[LIMIT_NAMES[name]] = held.has(name) ? 'enforced' : 'not_enforced'
  }
  return limits
}

/** Why a sandbox with these demands may not start here, or null. */
export function unheldDemand(required: readonly ResourceName[], held: ReadonlySet<ResourceName>): string | null {
  const unheld = required.filter((name) => !held.has(name))
  return unheld.length === 0 ? null : `this node cannot hold a limit on ${unheld.join(', ')}, which the policy names`
}
