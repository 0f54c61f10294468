import { DEFAULT_LANE, DEFAULT_POLICY, DEFAULT_TIMEOUT_MS, type ROUTES } from '@muster/contracts'
import { contractForList } from '@muster/core'
import type { Handler } from '../handler.ts'

export const getAgentDefaults: Handler<typeof ROUTES.getAgentDefaults> = async (_, { query }) => ({
  status: 200,
  body: {
    defaults: {
      key: query.key ?? null,
      name: query.key ?? null,
      config: { runner: 'process', env: {}, files: {}, policy: DEFAULT_POLICY, timeout_ms: DEFAULT_TIMEOUT_MS },
      limits: { concurrency: null, max_waiting: null, lanes: {} },
      weight: 1,
      active: true,
      paused: false,
      lane: DEFAULT_LANE,
    },
    agent_contract: contractForList(),
  },
})
