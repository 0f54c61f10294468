import { z } from 'zod'
import { startClientProcess } from './client-process.ts'

export type ReadersOrder = {
  readonly url: string
  readonly readers: readonly { readonly path: string; readonly authorization: string }[]
}

const openSchema = z.strictObject({ kind: z.literal('open') })
const resultSchema = z.strictObject({ kind: z.literal('ended'), delaysMs: z.array(z.number()) })

export type ReadersResult = z.infer<typeof resultSchema>

export type Readers = {
  /** Resolves when every stream has ended: how long each event that tells when it was sent was on its way. */
  delaysMs(): Promise<readonly number[]>
  release(): void
}

/** Opens a stream of events for each reader, all in one process of their own; resolves when each has shown an event. */
export async function openReaders(order: ReadersOrder): Promise<Readers> {
  const process = startClientProcess('readers.ts')
  try {
    process.tell(order)
    openSchema.parse(await process.answer())
  } catch (error) {
    process.release()
    throw error
  }
  return {
    delaysMs: async () => resultSchema.parse(await process.answer()).delaysMs,
    release: () => process.release(),
  }
}
