/** A place in the gate's ordering tree that carries a limit, a weight and a pause. */
export type ConfigNode =
  | { readonly kind: 'workspace'; readonly workspaceId: string }
  | { readonly kind: 'agent'; readonly agentId: string }
  | { readonly kind: 'lane'; readonly agentId: string; readonly lane: string }
  | { readonly kind: 'class'; readonly classKey: string }

/** The whole configuration of a place at a version; a newer version replaces all of it. */
export type NodeConfig = {
  readonly node: ConfigNode
  /** Runs at once; null: no limit. */
  readonly limit: number | null
  readonly weight: number
  readonly paused: boolean
  readonly version: number
}

/** What was written, and what the gate is to hear of it. */
export type Configured<Resource> = { readonly resource: Resource; readonly configuration: readonly NodeConfig[] }

export const isDefaultConfig = (config: NodeConfig): boolean =>
  config.limit === null && config.weight === 1 && !config.paused
