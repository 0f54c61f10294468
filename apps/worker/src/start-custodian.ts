import type { Logger } from '@muster/runtime'
import type { FileCache, SessionFolders } from '@muster/sandbox'

const EVERY_MS = 3_600_000
/** A zombie that still holds a replaced folder is long gone by then. */
const REPLACED_MS = 24 * EVERY_MS
/** Longer than the longest attempt. */
const UNUSED_MS = 7 * 24 * EVERY_MS

/** Once an hour removes folders that were replaced and files that no sandbox was shown lately. Answers the way to stop. */
export function startCustodian(folders: SessionFolders, cache: FileCache, logger: Logger): () => void {
  const clean = async (): Promise<void> => {
    const replaced = await folders.removeReplaced(REPLACED_MS)
    const files = await cache.prune(UNUSED_MS)
    if (replaced + files > 0) logger.info({ replaced, files }, 'removed what nobody needs any more')
  }
  const timer = setInterval(() => {
    clean().catch((error: unknown) => logger.warn({ err: error }, 'could not remove what nobody needs any more'))
  }, EVERY_MS)
  timer.unref()
  return () => clearInterval(timer)
}
