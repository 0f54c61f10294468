import type { Logger } from '@muster/runtime'
import type { AttachmentFolders, FileCache, SessionFolders } from '@muster/sandbox'

const EVERY_MS = 3_600_000
/** A zombie that still holds a replaced folder is long gone by then. */
const REPLACED_MS = 24 * EVERY_MS
/** Both are longer than the longest attempt. */
const UNUSED_MS = 7 * 24 * EVERY_MS
const LEFT_MS = 2 * 24 * EVERY_MS

/** Once an hour removes folders that were replaced, files that no sandbox was shown lately and attachments that were left behind. Answers the way to stop. */
export function startCustodian(
  folders: SessionFolders,
  cache: FileCache,
  attachments: AttachmentFolders,
  logger: Logger,
): () => void {
  const clean = async (): Promise<void> => {
    const replaced = await folders.removeReplaced(REPLACED_MS)
    const files = await cache.prune(UNUSED_MS)
    const left = await attachments.prune(LEFT_MS)
    if (replaced + files + left > 0)
      logger.info({ replaced, files, attachments: left }, 'removed what nobody needs any more')
  }
  const timer = setInterval(() => {
    clean().catch((error: unknown) => logger.warn({ err: error }, 'could not remove what nobody needs any more'))
  }, EVERY_MS)
  timer.unref()
  return () => clearInterval(timer)
}
