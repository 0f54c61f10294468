import type { Logger } from '@muster/runtime'
import type { AttachmentFolders, FileCache, SessionFolders } from '@muster/sandbox'
import { type Database, forgetFolders, removedFolders } from '@muster/store'

const EVERY_MS = 3_600_000
/** A zombie that still holds a replaced folder is long gone by then. */
const REPLACED_MS = 24 * EVERY_MS
/** Both are longer than the longest attempt. */
const UNUSED_MS = 7 * 24 * EVERY_MS
const LEFT_MS = 2 * 24 * EVERY_MS
const PAGE = 100

export type CustodianParts = {
  readonly database: Database
  readonly folders: SessionFolders
  readonly cache: FileCache
  readonly attachments: AttachmentFolders
  readonly logger: Logger
}

/**
 * Once an hour removes folders that were replaced or whose session is gone, files that no sandbox was shown lately and attachments that were
 * left behind. Answers the way to stop.
 */
export function startCustodian(parts: CustodianParts): () => void {
  const timer = setInterval(() => {
    clean(parts).catch((error: unknown) =>
      parts.logger.warn({ err: error }, 'could not remove what nobody needs any more'),
    )
  }, EVERY_MS)
  timer.unref()
  return () => clearInterval(timer)
}

async function clean({ database, folders, cache, attachments, logger }: CustodianParts): Promise<void> {
  const replaced = await folders.removeReplaced(REPLACED_MS)
  const files = await cache.prune(UNUSED_MS)
  const left = await attachments.prune(LEFT_MS)
  const sessions = await clearFolders({ database, folders, logger })
  if (replaced + files + left + sessions > 0)
    logger.info({ replaced, files, attachments: left, sessions }, 'removed what nobody needs any more')
}

/**
 * Deletes the folders of removed sessions and runs; answers how many. Workers may do it side by side. One that cannot be deleted stays
 * listed for the next time.
 */
export async function clearFolders({ database, folders, logger }: Omit<CustodianParts, 'cache' | 'attachments'>): Promise<number> {
  let cleared = 0
  for (let names = await removedFolders(database.pool, '', PAGE); names.length > 0; ) {
    const gone: string[] = []
    for (const name of names) {
      await folders.remove(name).then(
        () => gone.push(name),
        (error: unknown) => logger.warn({ err: error, folder: name }, 'a folder could not be deleted'),
      )
    }
    await forgetFolders(database.pool, gone)
    cleared += gone.length
    names = await removedFolders(database.pool, names.at(-1) ?? '', PAGE)
  }
  return cleared
}
