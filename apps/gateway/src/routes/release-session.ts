import type { ROUTES } from '@muster/contracts'
import { AppError, contractForList } from '@muster/core'
import { releaseSession as release } from '@muster/engine'
import { findSession, findSessionOwner } from '@muster/store'
import type { Handler } from '../handler.ts'

export const releaseSession: Handler<typeof ROUTES.releaseSession> = async ({ database, engine }, { params, body }) => {
  const workspaceId = await findSessionOwner(database, params.session_id)
  if (workspaceId === null) throw new AppError('session_not_found')
  await release(engine, params.session_id, body.reason ?? 'the session was released by an operator')
  const session = await findSession(database, workspaceId, params.session_id)
  if (session === null) throw new AppError('session_not_found')
  return { status: 200, body: { session, agent_contract: contractForList() } }
}
