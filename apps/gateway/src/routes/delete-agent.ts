import type { ROUTES } from '@muster/contracts'
import { AppError } from '@muster/core'
import { deleteAgent as remove } from '@muster/store'
import type { Handler } from '../handler.ts'

export const deleteAgent: Handler<typeof ROUTES.deleteAgent> = async ({ database }, { workspace, params }) => {
  const outcome = await remove(database, workspace.id, params.agent)
  if (outcome === 'absent') throw new AppError('agent_not_found')
  if (outcome === 'busy') throw new AppError('agent_busy', 'the agent has unfinished runs; cancel them or let them end')
  return { status: 204, body: null }
}
