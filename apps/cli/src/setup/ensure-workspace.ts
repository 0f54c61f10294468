import { z } from 'zod'
import { type AdminClient, unexpected } from './admin-client.ts'

const workspaceSchema = z.object({ id: z.string(), key: z.string() })
const oneSchema = z.object({ workspace: workspaceSchema })
const pageSchema = z.object({ data: z.array(workspaceSchema), next_cursor: z.string().nullable() })

/** The id of the workspace `default`, which is made when it is missing. */
export async function ensureWorkspace(request: AdminClient): Promise<string> {
  const created = await request('POST', '/v1/workspaces', { key: 'default', name: 'Default' })
  if (created.status === 201) return oneSchema.parse(created.body).workspace.id
  if (created.status !== 409) throw unexpected('cannot create the workspace', created)
  for (let cursor: string | null = ''; cursor !== null; ) {
    const listed = await request(
      'GET',
      `/v1/workspaces?limit=100${cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`}`,
    )
    if (listed.status !== 200) throw unexpected('cannot list the workspaces', listed)
    const page: z.infer<typeof pageSchema> = pageSchema.parse(listed.body)
    const found = page.data.find((workspace) => workspace.key === 'default')
    if (found !== undefined) return found.id
    cursor = page.next_cursor
  }
  throw new Error('the workspace "default" exists but is not listed')
}
