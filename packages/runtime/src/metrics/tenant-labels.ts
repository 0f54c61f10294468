/** How far metrics tell tenants apart: not at all, by workspace, or by workspace and agent. */
export type TenantDetail = 'none' | 'workspace' | 'agent'

/** `agentKey`: of an agent that is there; null where a request named none. */
export type Tenant = { readonly workspaceId: string; readonly agentKey: string | null }

export const TENANT_LABELS = { none: [], workspace: ['workspace'], agent: ['workspace', 'agent'] } as const

const TENANTS_MAX = 1000
const OTHER = 'other'

/** Gives each of the first thousand tenants its labels and all later ones those of `other`, so that no label set grows without bound. */
export function createTenantLabels(
  detail: TenantDetail,
  max = TENANTS_MAX,
): (tenant?: Tenant) => Record<string, string> {
  const known = new Set<string>()
  return (tenant) => {
    if (detail === 'none') return {}
    const labels =
      tenant === undefined
        ? { workspace: OTHER, agent: OTHER }
        : { workspace: tenant.workspaceId, agent: detail === 'agent' ? (tenant.agentKey ?? OTHER) : '' }
    const key = `${labels.workspace}/${labels.agent}`
    const admitted = known.has(key) || known.size < max
    if (admitted) known.add(key)
    const { workspace, agent } = admitted ? labels : { workspace: OTHER, agent: OTHER }
    return detail === 'agent' ? { workspace, agent } : { workspace }
  }
}
