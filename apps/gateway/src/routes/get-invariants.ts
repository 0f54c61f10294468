import type { ROUTES } from '@muster/contracts'
import { contractForList } from '@muster/core'
import { checkInvariants } from '@muster/engine'
import type { Handler } from '../handler.ts'

export const getInvariants: Handler<typeof ROUTES.getInvariants> = async ({ engine }) => ({
  status: 200,
  body: { ...(await checkInvariants(engine)), agent_contract: contractForList() },
})
