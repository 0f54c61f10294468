import type { ROUTES } from '@muster/contracts'
import { AppError, contractForList } from '@muster/core'
import { findSession } from '@muster/store'
import type { Handler } from '../handler.ts'

export const getSession: Handler<typeof ROUTES.getSession> = async ({ database }, { workspace, params }) => {
  const session = await findSession(database, workspace.id, params.session_id)
  if (session === null) throw new AppError('session_not_found')
  return { status: 200, body: { session, agent_contract: contractForList() } }
}
