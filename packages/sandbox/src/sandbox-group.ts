import { idPattern } from '@muster/contracts'

/** What a sandbox is named after: one attempt of one run, and the session whose folder it holds. */
export type SandboxGroup = {
  readonly runId: string
  readonly sessionId: string | null
  readonly generation: number
}

const PREFIX = 'muster-sandbox'
const NO_SESSION = '-'

/**
 * One word without spaces, slashes or NUL, fit for an argument, an environment value and a file name; it ends in the token of
 * the worker, where one is given. Throws for ids that are not typed ids.
 */
export function groupMarker(group: SandboxGroup, workerToken?: string): string {
  if (!idPattern('run').test(group.runId)) throw new TypeError('not a run id')
  if (group.sessionId !== null && !idPattern('session').test(group.sessionId)) throw new TypeError('not a session id')
  if (!Number.isSafeInteger(group.generation) || group.generation < 0) throw new TypeError('not a generation')
  const marker = [PREFIX, group.runId, group.sessionId ?? NO_SESSION, group.generation]
  return (workerToken === undefined ? marker : [...marker, workerToken]).join(':')
}

/** The group that a marker names, or null for any other text. */
export function parseGroupMarker(marker: string): SandboxGroup | null {
  const [prefix, runId, sessionId, generation, _token, ...rest] = marker.split(':')
  if (prefix !== PREFIX || runId === undefined || sessionId === undefined || generation === undefined) return null
  if (rest.length > 0 || !/^\d{1,16}$/.test(generation) || !idPattern('run').test(runId)) return null
  if (sessionId !== NO_SESSION && !idPattern('session').test(sessionId)) return null
  return { runId, sessionId: sessionId === NO_SESSION ? null : sessionId, generation: Number(generation) }
}
