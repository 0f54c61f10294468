import { readFileIfAny, writePrivateFile } from '@muster/runtime'
import { z } from 'zod'
import { type AdminClient, unexpected } from './admin-client.ts'

const createdSchema = z.object({ secret: z.string() })

/** The API key kept in a file that only its owner may read; a new one is made when the file is lost or the fleet does not know its key. */
export async function ensureApiKey(request: AdminClient, workspaceId: string, file: string): Promise<string> {
  const kept = readFileIfAny(file)?.trim()
  if (kept !== undefined && kept !== '') {
    const tried = await request('GET', '/v1/agents?limit=1', undefined, kept)
    if (tried.status === 200) return kept
    if (tried.status !== 401) throw unexpected('cannot try the API key', tried)
  }
  const created = await request('POST', `/v1/workspaces/${workspaceId}/keys`, { name: 'muster up' })
  if (created.status !== 201) throw unexpected('cannot create an API key', created)
  const { secret } = createdSchema.parse(created.body)
  writePrivateFile(file, `${secret}\n`)
  return secret
}
