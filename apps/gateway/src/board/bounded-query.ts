import type { BullBoardRequest } from '@bull-board/api/typings/app'

type Query = BullBoardRequest['query']

const PAGE_MAX = 1_000_000
/** Of what one page shows: a page that shows less than it was asked for must also be counted so. */
export const JOBS_PER_PAGE_MAX = 100

/** A query as the board may take it: its numbers within what is answered, and no name of a queue that cannot be decoded. */
export function boundedQuery(query: Query): Query {
  const bounded = { ...query, ...atMost(query, 'page', PAGE_MAX), ...atMost(query, 'jobsPerPage', JOBS_PER_PAGE_MAX) }
  for (const name of ['activeQueue', 'queueName'])
    if (bounded[name] !== undefined && decoded(bounded[name]) === null) delete bounded[name]
  return bounded
}

/** The board's page encodes the names in its queries once more. */
export function decoded(name: unknown): string | null {
  try {
    return typeof name === 'string' ? decodeURIComponent(name) : null
  } catch {
    return null
  }
}

const atMost = (query: Query, name: string, most: number): Query =>
  Number(query[name]) > most ? { [name]: String(most) } : {}
