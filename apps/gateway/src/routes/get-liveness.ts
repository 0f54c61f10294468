import type { ROUTES } from '@muster/contracts'
import { contractForList } from '@muster/core'
import type { Handler } from '../handler.ts'

export const getLiveness: Handler<typeof ROUTES.getLiveness> = async () => ({
  status: 200,
  body: { status: 'live', agent_contract: contractForList() },
})
