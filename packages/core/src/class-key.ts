import { createHash } from 'node:crypto'
import type { ClassPolicy, Policy } from '@muster/contracts'

/**
 * The policy that a class stands for: every field but `retry`, with resources rounded up (0.5 cpu, 256 MiB, 256 pids, 1024 MiB of disk),
 * so that clients cannot mint classes.
 */
export function classPolicyOf(policy: Policy): ClassPolicy {
  const { retry: _, named_resources: __, resources, ...rest } = policy
  return {
    ...rest,
    resources: {
      cpu: roundUp(resources.cpu, 0.5),
      memory_mb: roundUp(resources.memory_mb, 256),
      pids: roundUp(resources.pids, 256),
      disk_mb: roundUp(resources.disk_mb, 1024),
    },
  }
}

/** Opaque, URL-safe, 36 characters: the same workspace, agent, lane and class policy always give the same key. */
export function classKeyOf(place: { workspaceId: string; agentId: string; lane: string }, policy: ClassPolicy): string {
  const { resources } = policy
  const parts = [
    place.workspaceId,
    place.agentId,
    place.lane,
    policy.host,
    policy.security,
    policy.ask,
    policy.runtime_type,
    policy.workspace_access,
    policy.network_enabled,
    policy.interactive,
    resources.cpu,
    resources.memory_mb,
    resources.pids,
    resources.disk_mb,
  ]
  return `cls_${createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 32)}`
}

const roundUp = (value: number, step: number): number => Math.ceil(value / step) * step
