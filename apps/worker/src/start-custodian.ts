import type { EngineContext } from '@muster/engine'
import type { FileCache, SessionFolders } from '@muster/sandbox'

export type CustodianParts = {
  readonly folders: SessionFolders
  readonly cache: FileCache
  /** Those of these folders that no session has and no run goes back to. */
  readonly unneeded: (names: readonly string[]) => Promise<readonly string[]>
  readonly logger: EngineContext['log']
}

const EVERY_MS = 3_600_000
/** A zombie that still holds a replaced folder is long gone by then. */
const REPLACED_MS = 24 * EVERY_MS
/** Longer than the longest attempt, and time enough to notice that workers were given a wrong database. */
const UNUSED_MS = 7 * 24 * EVERY_MS
const FOLDERS_AT_ONCE = 1_000

/** Tidies up once an hour. Answers the way to stop. */
export function startCustodian(parts: CustodianParts): () => void {
  const timer = setInterval(() => {
    tidyUp(parts).catch((error: unknown) =>
      parts.logger.warn({ err: error }, 'could not remove what nobody needs any more'),
    )
  }, EVERY_MS)
  timer.unref()
  return () => clearInterval(timer)
}

/**
 * Removes folders that were replaced, files that no sandbox was shown lately, and folders that lay still for `unusedMs` and
 * whose session or run is gone, as the folder of a run whose worker died at its end.
 */
export async function tidyUp(parts: CustodianParts, unusedMs: number = UNUSED_MS): Promise<void> {
  const replaced = await parts.folders.removeReplaced(REPLACED_MS)
  const files = await parts.cache.prune(UNUSED_MS)
  const still = await parts.folders.untouched(unusedMs)
  let left = 0
  for (let at = 0; at < still.length; at += FOLDERS_AT_ONCE) {
    for (const name of await parts.unneeded(still.slice(at, at + FOLDERS_AT_ONCE))) {
      await parts.folders.remove(name)
      left += 1
    }
  }
  if (replaced + files + left > 0) parts.logger.info({ replaced, files, left }, 'removed what nobody needs any more')
}
