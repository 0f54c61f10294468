import type { ROUTES } from '@muster/contracts'
import type { Handler } from '../handler.ts'

export const getAgentCard: Handler<typeof ROUTES.getAgentCard> = async () => ({
  status: 200,
  body: {
    name: 'Muster',
    description: 'A self-hosted fleet for AI agents: submit commands to agents, watch them run, read what they did.',
    capabilities_url: '/v1/capabilities',
    openapi_schema_url: '/v1/schema',
  },
})
