import { type Queryable, readEvents } from '@muster/store'

const LINE_CHARS = 2000

/** The first events of a run, one a line; a last line tells where those are that do not fit. */
export async function eventLines(on: Queryable, runId: string, most: number): Promise<string[]> {
  const events = await readEvents(on, runId, 0, most + 1)
  const lines = events.slice(0, most).map(({ seq, at, type, data }) => {
    const line = `${seq} ${at} ${type} ${JSON.stringify(data)}`
    return line.length > LINE_CHARS ? `${line.slice(0, LINE_CHARS)} …` : line
  })
  return events.length > most
    ? [...lines, `… more: GET /v1/runs/${runId}/events?after=${events[most - 1]?.seq ?? 0}`]
    : lines
}
