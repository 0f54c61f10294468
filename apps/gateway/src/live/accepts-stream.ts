const STREAM_TYPE = 'text/event-stream'

/** What goes with every stream of events: no cache and no proxy may hold it back. */
export const STREAM_HEADERS = { 'content-type': STREAM_TYPE, 'cache-control': 'no-store', 'x-accel-buffering': 'no' }

/** Whether a request's `Accept` asks for a stream of events. */
export const acceptsStream = (accept: string | null): boolean => (accept ?? '').toLowerCase().includes(STREAM_TYPE)
