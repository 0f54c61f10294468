import type { Route } from '@muster/contracts'
import type { WorkspaceCaller } from '@muster/store'
import type { z } from 'zod'
import type { GatewayContext } from './gateway-context.ts'
import type { OnRefused } from './live/key-watch.ts'

type Body<Schema> = Schema extends z.ZodType ? z.output<Schema> : null

/** A request whose every part fits its route. */
export type Call<R extends Route> = {
  readonly params: z.output<R['params']>
  readonly query: z.output<R['query']>
  readonly body: Body<R['body']>
  /** In whose name the request acts; null where none is needed. */
  readonly workspace: R['access'] extends 'workspace' ? WorkspaceCaller : null
  readonly header: (name: string) => string | null
  /** Aborted when the client goes away. */
  readonly signal: () => AbortSignal
  /** For what outlasts the moment in which the key was looked up. */
  readonly onRefused: OnRefused
  readonly requestId: string
  /** The trace context that what the request starts belongs to. */
  readonly traceparent: string | null
}

export type AnswerHeaders = Readonly<Record<string, string>>

type Streamed<R extends Route> = R['responses'][200] extends { readonly streams: object }
  ? { readonly status: 200; readonly stream: ReadableStream<Uint8Array>; readonly headers: AnswerHeaders }
  : never

/** One of the answers that the route declares. */
export type Answer<R extends Route> =
  | {
      [Status in keyof R['responses'] & number]: {
        readonly status: Status
        readonly body: Body<R['responses'][Status]['body']>
        readonly headers?: AnswerHeaders
      }
    }[keyof R['responses'] & number]
  | Streamed<R>

/** Answers one route. Refusals are thrown as `AppError`. */
export type Handler<R extends Route> = (context: GatewayContext, call: Call<R>) => Promise<Answer<R>>
