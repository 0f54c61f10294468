import { type Attachment, attachmentSchema } from '@muster/contracts'
import { z } from 'zod'
import { execute, type Queryable } from './statement.ts'

const STATEMENT = {
  name: 'read_attachments',
  text: 'SELECT attachments FROM tasks WHERE id = $1 AND attachments IS NOT NULL',
  row: z.object({ attachments: z.array(attachmentSchema) }),
}

/** The files that came with a task's command, whole. */
export async function readAttachments(on: Queryable, taskId: string): Promise<readonly Attachment[]> {
  const [row] = await execute(on, STATEMENT, [taskId])
  return row?.attachments ?? []
}
