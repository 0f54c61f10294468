import { z } from 'zod'
import { startClientProcess } from './client-process.ts'

/** Where commands go, and as whom: each request takes the next client's headers and the body. */
export type Target = {
  readonly url: string
  readonly clients: readonly { readonly authorization: string }[]
  readonly body: Readonly<Record<string, unknown>>
  /** Values of one field that are taken in turn. */
  readonly vary?: { readonly field: string; readonly values: readonly string[] }
}

export type LoadOrder =
  /** As many clients, each sending its next request when the last was answered. */
  | { readonly kind: 'closed'; readonly clients: number; readonly requests: number }
  /** Requests at fixed times, whatever becomes of those before. */
  | { readonly kind: 'open'; readonly perSecond: number; readonly requests: number }

const resultSchema = z.strictObject({
  seconds: z.number(),
  /** Of each request, in the order of sending: from when it was due to its whole answer. */
  latenciesMs: z.array(z.number()),
  /** When each was due, in milliseconds since 1970. */
  dueAtMs: z.array(z.number()),
  /** Of the run, or of what the baseline has in its place. */
  ids: z.array(z.string()),
})

export type LoadResult = Readonly<z.infer<typeof resultSchema>>

/** Sends a load from a process of its own. Throws unless every command was accepted. */
export async function sendLoad(target: Target, order: LoadOrder): Promise<LoadResult> {
  const generator = startClientProcess('generator.ts')
  try {
    generator.tell({ target, order })
    return resultSchema.parse(await generator.answer())
  } finally {
    generator.release()
  }
}
