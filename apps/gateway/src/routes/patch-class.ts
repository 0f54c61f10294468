import type { ROUTES } from '@muster/contracts'
import { AppError, contractForList } from '@muster/core'
import { applyConfiguration } from '@muster/engine'
import { patchClass as patch } from '@muster/store'
import { withClassNumbers } from '../class-numbers.ts'
import type { Handler } from '../handler.ts'

export const patchClass: Handler<typeof ROUTES.patchClass> = async (
  { database, engine },
  { workspace, params, body },
) => {
  const written = await patch(database, workspace.id, params.class_key, body)
  if (written === null) throw new AppError('class_not_found')
  const applied = await applyConfiguration(engine, written.configuration)
  const [shown] = await withClassNumbers(engine, [written.resource])
  if (shown === undefined) throw new AppError('class_not_found')
  return { status: 200, body: { class: shown, applied, agent_contract: contractForList() } }
}
