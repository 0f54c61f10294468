import type { NodePools, ResourceName } from '@muster/contracts'
import type { Logger } from '@muster/runtime'
import { createBubblewrap, createNone, createOci, type RootSource, type Sandbox } from '@muster/sandbox'

export type SandboxSettings = {
  readonly cacheRoot: string
  readonly sessionsRoot: string
  readonly cgroups: 'auto' | 'hidden'
  readonly bwrapPath: string | undefined
  readonly runcPath: string | undefined
  readonly runscPath: string | undefined
  readonly ociRoot: RootSource
}

export type OpenSandboxes = {
  readonly sandboxes: ReadonlyMap<string, Sandbox>
  readonly pools: NodePools
  /** The resources that each pool's sandboxes can bound here. */
  readonly holds: ReadonlyMap<string, readonly ResourceName[]>
}

/** The sandboxes of the pools that this node can really serve; a pool that it cannot is left out, with the reason in the log. */
export async function openSandboxes(
  asked: NodePools,
  settings: SandboxSettings,
  logger: Logger,
): Promise<OpenSandboxes> {
  const sandboxes = new Map<string, Sandbox>()
  const holds = new Map<string, readonly ResourceName[]>()
  const pools: NodePools = {}
  for (const sandbox of everySandbox(settings)) {
    const slots = asked[sandbox.runtime] ?? 0
    if (slots === 0) continue
    const probe = await sandbox.probe()
    if (probe.kind === 'unusable') {
      logger.error({ pool: sandbox.runtime, reason: probe.reason }, 'this node cannot serve the pool')
      continue
    }
    logger.info({ pool: sandbox.runtime, holds: probe.holds, missing: probe.missing }, 'serving the pool')
    sandboxes.set(sandbox.runtime, sandbox)
    holds.set(sandbox.runtime, probe.holds)
    pools[sandbox.runtime] = slots
  }
  return { sandboxes, pools, holds }
}

function everySandbox({ cacheRoot, sessionsRoot, cgroups, bwrapPath, ...oci }: SandboxSettings): readonly Sandbox[] {
  const common = { cacheRoot, sessionRoot: sessionsRoot, cgroups }
  const container = (runtime: 'runc' | 'gvisor', runtimePath: string | undefined) =>
    createOci({ ...common, runtime, root: oci.ociRoot, ...(runtimePath === undefined ? {} : { runtimePath }) })
  return [
    createBubblewrap({ ...common, ...(bwrapPath === undefined ? {} : { bwrapPath }) }),
    createNone({ cacheRoot }),
    container('runc', oci.runcPath),
    container('gvisor', oci.runscPath),
  ]
}
