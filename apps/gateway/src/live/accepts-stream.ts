import { parseAccept } from 'hono/utils/accept'

const STREAM_TYPE = 'text/event-stream'
/** What JSON may be named by, the most exact first. */
const JSON_TYPES = ['application/json', 'application/*', '*/*']

/** What goes with every stream of events: no cache and no proxy may hold it back. */
export const STREAM_HEADERS = { 'content-type': STREAM_TYPE, 'cache-control': 'no-store', 'x-accel-buffering': 'no' }

/** Whether a request's `Accept` asks for a stream of events: by its name, since a wildcard means JSON, and no less than for JSON. */
export function acceptsStream(accept: string | null): boolean {
  const qualities = new Map<string, number>()
  for (const { type, q } of parseAccept(accept ?? '')) {
    const name = type.toLowerCase()
    qualities.set(name, Math.max(q, qualities.get(name) ?? 0))
  }
  const ofStream = qualities.get(STREAM_TYPE) ?? 0
  const jsonType = JSON_TYPES.find((type) => qualities.has(type)) ?? ''
  return ofStream > 0 && ofStream >= (qualities.get(jsonType) ?? 0)
}
