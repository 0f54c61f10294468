import type { EngineContext } from '@muster/engine'
import type { AttachmentFolders, FileCache, SessionFolders } from '@muster/sandbox'
import { type Database, forgetFolders, removedFolders, unneededFolders } from '@muster/store'

type FolderParts = {
  readonly database: Database
  readonly folders: SessionFolders
  readonly logger: EngineContext['log']
}

export type CustodianParts = FolderParts & { readonly cache: FileCache; readonly attachments: AttachmentFolders }

const EVERY_MS = 3_600_000
/** A zombie that still holds a replaced folder is long gone by then. */
const REPLACED_MS = 24 * EVERY_MS
/** Longer than the longest attempt, and time enough to notice that workers were given a wrong database. */
const UNUSED_MS = 7 * 24 * EVERY_MS
/** Longer than the longest attempt. */
const LEFT_MS = 2 * 24 * EVERY_MS
const PAGE = 100
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
 * Removes folders that were replaced, files that no sandbox was shown lately, attachments that were left behind, folders whose session or
 * run was removed, and those that lay still for `unusedMs` and whose session or run nobody knows, as the folder of a run whose worker died at
 * its end.
 */
export async function tidyUp(parts: CustodianParts, unusedMs: number = UNUSED_MS): Promise<void> {
  const replaced = await parts.folders.removeReplaced(REPLACED_MS)
  const files = await parts.cache.prune(UNUSED_MS)
  const attachments = await parts.attachments.prune(LEFT_MS)
  const removed = await clearFolders(parts)
  const left = await clearUnknown(parts, unusedMs)
  if (replaced + files + attachments + removed + left > 0)
    parts.logger.info({ replaced, files, attachments, removed, left }, 'removed what nobody needs any more')
}

async function clearUnknown({ database, folders, logger }: FolderParts, unusedMs: number): Promise<number> {
  const still = await folders.untouched(unusedMs)
  let left = 0
  for (let at = 0; at < still.length; at += FOLDERS_AT_ONCE) {
    const names = await unneededFolders(database.pool, still.slice(at, at + FOLDERS_AT_ONCE))
    left += (await removeEach(names, { folders, logger })).length
  }
  return left
}

/**
 * Deletes the folders of removed sessions and runs; answers how many. Workers may do it side by side. One that cannot be deleted stays
 * listed for the next time.
 */
export async function clearFolders({ database, folders, logger }: FolderParts): Promise<number> {
  let cleared = 0
  for (let names = await removedFolders(database.pool, '', PAGE); names.length > 0; ) {
    const gone = await removeEach(names, { folders, logger })
    await forgetFolders(database.pool, gone)
    cleared += gone.length
    names = await removedFolders(database.pool, names.at(-1) ?? '', PAGE)
  }
  return cleared
}

/** Answers those that are gone. One that cannot be deleted keeps no other, and a disk that refuses them all is told of once. */
async function removeEach(
  names: readonly string[],
  { folders, logger }: Omit<FolderParts, 'database'>,
): Promise<readonly string[]> {
  const gone: string[] = []
  let refused: unknown
  for (const name of names)
    await folders.remove(name).then(
      () => gone.push(name),
      (error: unknown) => {
        refused = error
      },
    )
  if (gone.length < names.length)
    logger.warn({ err: refused, folders: names.length - gone.length }, 'folders could not be deleted')
  return gone
}
