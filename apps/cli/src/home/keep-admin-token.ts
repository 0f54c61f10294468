import { randomBytes } from 'node:crypto'
import { readFileIfAny, writePrivateFile } from '@muster/runtime'

/** The admin token kept in a file that only its owner may read; made once. */
export function keepAdminToken(file: string): string {
  const kept = readFileIfAny(file)?.trim()
  if (kept !== undefined && kept !== '') return kept
  const token = `mst_admin_${randomBytes(24).toString('base64url')}`
  writePrivateFile(file, `${token}\n`)
  return token
}
