import type { ROUTES } from '@muster/contracts'
import { AppError, contractForList } from '@muster/core'
import { findAgent } from '@muster/store'
import type { Handler } from '../handler.ts'

export const getAgent: Handler<typeof ROUTES.getAgent> = async ({ database }, { workspace, params }) => {
  const agent = await findAgent(database, workspace.id, params.agent)
  if (agent === null) throw new AppError('agent_not_found')
  return { status: 200, body: { agent, agent_contract: contractForList() } }
}
