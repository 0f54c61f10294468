import { randomUUID } from 'node:crypto'
import { link, mkdir, open, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'

const MARKER = 'muster-fleet-id'

/**
 * The id of a shared folder root, made by whoever comes first and never changed. Two workers that read the same id see the
 * same folders; one that reads another id than the fleet's has some other disk there and must not run sessions.
 */
export async function proveRoot(root: string): Promise<string> {
  await mkdir(root, { recursive: true, mode: 0o755 })
  const marker = join(root, MARKER)
  const known = await readMarker(marker)
  if (known !== null) return known
  const draft = join(root, `.${MARKER}-${randomUUID()}`)
  const file = await open(draft, 'wx', 0o644)
  try {
    await file.writeFile(`${randomUUID()}\n`)
    await file.sync()
    // A link, unlike a rename, never replaces what another worker made first.
    await link(draft, marker).catch((error: unknown) => {
      if (!isExisting(error)) throw error
    })
  } finally {
    await file.close()
    await rm(draft, { force: true })
  }
  const made = await readMarker(marker)
  if (made === null) throw new Error(`no fleet id in ${marker}`)
  return made
}

async function readMarker(path: string): Promise<string | null> {
  const text = await readFile(path, 'utf8').catch(() => '')
  const id = text.trim()
  return /^[0-9a-f-]{36}$/.test(id) ? id : null
}

function isExisting(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EEXIST'
}
