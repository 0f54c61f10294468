import type { ROUTES } from '@muster/contracts'
import { contractForList } from '@muster/core'
import { fleetScale } from '@muster/engine'
import type { Handler } from '../handler.ts'

export const getScale: Handler<typeof ROUTES.getScale> = async ({ engine }, { query }) => {
  const { pools } = await fleetScale(engine)
  const shown = query.pool === undefined ? pools : { [query.pool]: pools[query.pool] }
  return { status: 200, body: { pools: shown, agent_contract: contractForList() } }
}
