import type { ListFilter } from '@muster/store'

type FilterQuery = {
  readonly agent?: string | undefined
  readonly status?: string | undefined
  readonly session?: string | undefined
  readonly lane?: string | undefined
  readonly label?: string | undefined
  readonly created_after?: string | undefined
  readonly created_before?: string | undefined
}

/** The filters of a query as the store takes them. */
export const listFilterOf = (query: FilterQuery): ListFilter => ({
  agent: query.agent,
  status: query.status,
  session: query.session,
  lane: query.lane,
  label: query.label,
  createdAfter: query.created_after === undefined ? undefined : new Date(query.created_after),
  createdBefore: query.created_before === undefined ? undefined : new Date(query.created_before),
})
