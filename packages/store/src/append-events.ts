import type { EventType, JsonObject, JsonValue } from '@muster/contracts'
import { z } from 'zod'
import { execute, type Queryable } from './statement.ts'

const STATEMENT = {
  name: 'append_events',
  text: 'SELECT * FROM append_events($1)',
  row: z.object({
    run_id: z.string(),
    generation: z.int(),
    first_seq: z.int().nullable(),
    attempt: z.int().nullable(),
    snapshots: z.array(z.int()).nullable(),
    at: z.date(),
  }),
}

/** An event without its number; with a `state` it is also a snapshot of the agent. */
export type NewEvent = { readonly type: EventType; readonly data: JsonObject; readonly state?: JsonValue }
/** The events of one append. `flush` numbers the appends of the attempt from 1, so that one sent again is recognized. */
export type EventBatch = {
  readonly runId: string
  readonly generation: number
  readonly flush: number
  readonly events: readonly NewEvent[]
}
export type Appended = {
  readonly firstSeq: number
  readonly attempt: number | null
  readonly snapshots: readonly number[]
  readonly at: Date
}

/** Appends and numbers events, one answer an item, in order; null where the generation no longer holds the run. */
export async function appendEvents(
  on: Queryable,
  batches: readonly EventBatch[],
): Promise<readonly (Appended | null)[]> {
  const items = batches.map((batch) => ({
    run_id: batch.runId,
    generation: batch.generation,
    flush: batch.flush,
    events: batch.events,
  }))
  const rows = await execute(on, STATEMENT, [JSON.stringify(items)])
  return batches.map(({ runId, generation }) => {
    const row = rows.find((each) => each.run_id === runId && each.generation === generation)
    if (row === undefined) throw new Error(`events of ${runId} were not answered`)
    if (row.first_seq === null) return null
    return { firstSeq: row.first_seq, attempt: row.attempt, snapshots: row.snapshots ?? [], at: row.at }
  })
}
