import { type FleetClient, fleetClient, type TestFleet } from '@muster/testkit'
import { z } from 'zod'

export type Tenant = {
  readonly workspaceId: string
  readonly key: string
  readonly client: FleetClient
  readonly agents: readonly { readonly id: string; readonly key: string; readonly limit: number | null }[]
  readonly limit: number | null
  /** Limit of lane `narrow` of each agent. */
  readonly laneLimit: number
}

const created = z.looseObject({ id: z.string() })

/** Runs the message as a line of shell: what a load needs of an agent. */
const LINE_AGENT = {
  runner: 'process',
  command: [
    '/bin/sh',
    '-c',
    `IFS= read -r line; eval "$(printf '%s' "$line" | sed -n 's/.*"message":"\\([^"]*\\)".*/\\1/p')"`,
  ],
} as const

/** Makes workspaces with two agents each; every third workspace, every other agent and each lane `narrow` has a limit. */
export async function makeTenants(fleet: TestFleet, count: number): Promise<Tenant[]> {
  const tenants: Tenant[] = []
  for (let index = 0; index < count; index++) {
    const limit = index % 3 === 0 ? 2 : null
    const key = `tenant-${index}`
    const workspace = expectStatus(
      await fleet.admin.post('/v1/workspaces', { key, limits: { concurrency: limit } }),
      201,
    )
    const workspaceId = z.object({ workspace: created }).parse(workspace).workspace.id
    const answer = expectStatus(await fleet.admin.post(`/v1/workspaces/${workspaceId}/keys`, {}), 201)
    const { secret } = z.looseObject({ secret: z.string() }).parse(answer)
    const client = fleetClient(fleet.url, secret)
    const agents = []
    for (const [position, name] of ['one', 'two'].entries()) {
      const agentLimit = position === 0 ? 1 : null
      const made = expectStatus(
        await client.post('/v1/agents', {
          key: name,
          config: LINE_AGENT,
          limits: { concurrency: agentLimit, lanes: { narrow: { concurrency: 1 } } },
        }),
        201,
      )
      agents.push({ id: z.object({ agent: created }).parse(made).agent.id, key: name, limit: agentLimit })
    }
    tenants.push({ workspaceId, key, client, agents, limit, laneLimit: 1 })
  }
  return tenants
}

export function expectStatus(answer: { readonly status: number; readonly body: unknown }, status: number): unknown {
  if (answer.status !== status)
    throw new Error(`expected ${status}, got ${answer.status}: ${JSON.stringify(answer.body)}`)
  return answer.body
}
