import type { NodePools } from '@muster/contracts'
import type { Logger } from '@muster/runtime'
import { createBubblewrap, createNone, type Sandbox } from '@muster/sandbox'

/** The sandboxes of the pools that this node can really serve; a pool that it cannot is left out, with the reason in the log. */
export async function openSandboxes(
  asked: NodePools,
  places: { readonly cacheRoot: string; readonly sessionsRoot: string },
  logger: Logger,
): Promise<{ readonly sandboxes: ReadonlyMap<string, Sandbox>; readonly pools: NodePools }> {
  const sandboxes = new Map<string, Sandbox>()
  const pools: NodePools = {}
  for (const sandbox of [
    createBubblewrap({ cacheRoot: places.cacheRoot, sessionRoot: places.sessionsRoot }),
    createNone({ cacheRoot: places.cacheRoot }),
  ]) {
    const slots = asked[sandbox.runtime] ?? 0
    if (slots === 0) continue
    const probe = await sandbox.probe()
    if (probe.kind === 'unusable') {
      logger.error({ pool: sandbox.runtime, reason: probe.reason }, 'this node cannot serve the pool')
      continue
    }
    sandboxes.set(sandbox.runtime, sandbox)
    pools[sandbox.runtime] = slots
  }
  for (const [pool, slots] of Object.entries(asked))
    if (slots !== undefined && slots > 0 && (pool === 'runc' || pool === 'gvisor'))
      logger.error({ pool }, 'this node cannot serve the pool: no adapter for it')
  return { sandboxes, pools }
}
