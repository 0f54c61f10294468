const WAIT_SECONDS_MAX = 60

/** Seconds that `Prefer: wait=N` asks the answer to be held, at most 60; null where it asks nothing that can be honoured. */
export function preferredWait(prefer: string | null): number | null {
  if (prefer === null) return null
  for (const preference of prefer.split(',')) {
    const [name, value] = preference.split(';')[0]?.split('=') ?? []
    if (name?.trim().toLowerCase() !== 'wait') continue
    const seconds = value?.trim().replace(/^"(.*)"$/, '$1') ?? ''
    if (/^\d{1,9}$/.test(seconds)) return Math.min(Number(seconds), WAIT_SECONDS_MAX)
  }
  return null
}
