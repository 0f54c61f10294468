import type { ROUTES } from '@muster/contracts'
import { contractForError, contractForList } from '@muster/core'
import type { Handler } from '../handler.ts'

export const getReadiness: Handler<typeof ROUTES.getReadiness> = async ({ readiness }) => {
  const { ready, checks } = await readiness.report()
  return ready
    ? { status: 200, body: { status: 'ready', checks, agent_contract: contractForList() } }
    : { status: 503, body: { status: 'not_ready', checks, agent_contract: contractForError('unavailable', null) } }
}
