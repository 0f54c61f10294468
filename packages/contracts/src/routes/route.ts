import type { z } from 'zod'
import type { ErrorCode } from '../error-codes.ts'

/** Who may call: anyone; a workspace's key, or the admin token acting in a workspace; the admin token alone. */
export type Access = 'public' | 'workspace' | 'admin'

export type RouteResponse = {
  readonly description: string
  /** Null: the answer has no body. */
  readonly body: z.ZodType | null
  /** Headers that this answer adds, by name, with what they say. */
  readonly headers?: Readonly<Record<string, string>>
  /** Further media types that the answer may have instead of JSON, by name, with what they carry. */
  readonly streams?: Readonly<Record<string, string>>
}

/** One endpoint, as data: the gateway mounts it, the API document describes it, and handlers take their types from it. */
export type Route = {
  readonly operationId: string
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  /** With `{name}` for each parameter. */
  readonly path: string
  readonly access: Access
  readonly tag: string
  readonly summary: string
  readonly params: z.ZodObject
  /** The answer to a path parameter that cannot name anything. */
  readonly notFound: ErrorCode
  readonly query: z.ZodObject
  /** Null: a body is not read, so of GET and DELETE alone. An empty body stands for `{}`. */
  readonly body: z.ZodType | null
  /** How large a body may be; 1 MiB unless told. */
  readonly bodyBytesMax?: number
  /** Request headers that matter to this route alone, with what they do. */
  readonly requestHeaders?: Readonly<Record<string, string>>
  readonly responses: { readonly [status: number]: RouteResponse }
  /** Codes that this route may answer beyond those of every route. */
  readonly errors: readonly ErrorCode[]
}

/** How large a body may be where its route says nothing. */
export const BODY_BYTES_MAX = 1_048_576

/** Keeps the exact type of a route, so that its handler is typed by it. */
export const defineRoute = <const R extends Route>(route: R): R => route
