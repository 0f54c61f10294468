import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

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

export type LoadResult = {
  readonly seconds: number
  /** Of each request, in the order of sending: from when it was due to its whole answer. */
  readonly latenciesMs: readonly number[]
  /** When each was due, in milliseconds since 1970. */
  readonly dueAtMs: readonly number[]
  readonly ids: readonly string[]
}

/** Sends a load from a process of its own. Throws unless every command was accepted. */
export async function sendLoad(target: Target, order: LoadOrder): Promise<LoadResult> {
  const child: ChildProcess = fork(fileURLToPath(new URL('generator.ts', import.meta.url)), {
    serialization: 'advanced',
  })
  child.send({ target, order })
  const [answer]: unknown[] = await once(child, 'message')
  child.disconnect()
  if (isResult(answer)) return answer
  throw new Error(`the load failed: ${String(answer)}`)
}

const isResult = (answer: unknown): answer is LoadResult =>
  typeof answer === 'object' && answer !== null && 'latenciesMs' in answer
