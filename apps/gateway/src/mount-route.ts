import { BODY_BYTES_MAX, type Route } from '@muster/contracts'
import { AppError } from '@muster/core'
import type { Metrics, Span, Tracing } from '@muster/runtime'
import type { Context, Hono } from 'hono'
import type { Authenticator } from './authenticator.ts'
import type { GatewayContext } from './gateway-context.ts'
import type { Answer, AnswerHeaders, Call, Handler } from './handler.ts'
import { parseInput } from './http/parse-input.ts'
import { problemHeaders, problemOf } from './http/problem.ts'
import { readBody } from './http/read-body.ts'
import { readQuery } from './http/read-query.ts'
import { requestIdOf } from './http/request-id.ts'
import type { KeyWatch } from './live/key-watch.ts'

const JSON_HEADERS = {
  'content-type': 'application/json',
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
}

export type Mounting = {
  readonly app: Hono
  readonly context: GatewayContext
  readonly authenticator: Authenticator
  readonly keyWatch: KeyWatch
  readonly metrics: Metrics
  readonly tracing: Tracing
  /** Set while the process drains: clients are told to let their connections go. */
  readonly isDraining: () => boolean
}

/** Mounts a route: authenticates, parses every part of the request, and turns the handler's answer or refusal into a response. */
export function mountRoute<R extends Route>(mounting: Mounting, route: R, handler: Handler<R>): void {
  const { operationId } = route
  const spanName = `${route.method} ${route.path}`
  const attributes = { 'http.request.method': route.method, 'http.route': route.path }
  mounting.app.on(route.method, honoPath(route.path), async (c) => {
    const begun = performance.now()
    const parent = c.req.raw.headers.get('traceparent')
    const span = mounting.tracing.begin(spanName, { kind: 'server', parent, attributes })
    const response = await answerCall(mounting, route, handler, c, span)
    span.set({ 'http.response.status_code': response.status })
    span.end(response.status >= 500 ? 'error' : 'ok')
    mounting.metrics.count('http_requests_total', { route: operationId, status: String(response.status) })
    mounting.metrics.observe('http_request_seconds', { route: operationId }, (performance.now() - begun) / 1000)
    return response
  })
}

async function answerCall<R extends Route>(
  mounting: Mounting,
  route: R,
  handler: Handler<R>,
  c: Context,
  span: Span,
): Promise<Response> {
  const requestId = requestIdOf(c.req.raw.headers.get('x-request-id'))
  try {
    const call = await readCall(mounting, route, c, { requestId, traceparent: span.traceparent })
    const answer = await handler(mounting.context, call)
    // asked of the answer: a response's own headers are made only when somebody looks at them, which costs more than all of this
    const run = runOf(answer.headers)
    span.set(run)
    if (route.method !== 'GET') noteChange(mounting, c, { requestId, status: answer.status, run })
    return respond(mounting, c, requestId, answer)
  } catch (error) {
    return refuse(mounting, requestId, error, { taskId: c.req.param('task_id') })
  }
}

/** `{name}` as the router writes it. */
const honoPath = (path: string): string => path.replaceAll(/\{(\w+)\}/g, ':$1')

/** The one way from whatever was thrown to an answer. */
export function refuse(
  { context, isDraining }: Mounting,
  requestId: string,
  error: unknown,
  more: { readonly taskId?: string | undefined; readonly headers?: AnswerHeaders } = {},
): Response {
  const problem = problemOf(error, requestId, more.taskId)
  if (problem.status >= 500) {
    const fields = { err: error, request_id: requestId, code: problem.code }
    if (problem.code === 'unavailable') context.engine.log.warn(fields, 'a request could not be served now')
    else context.engine.log.error(fields, 'a request failed')
  }
  const headers = {
    ...JSON_HEADERS,
    ...problemHeaders(problem),
    ...more.headers,
    ...(isDraining() ? { connection: 'close' } : {}),
    'x-request-id': requestId,
  }
  return new Response(JSON.stringify(problem), { status: problem.status, headers })
}

type RunNote = { readonly 'muster.run_id'?: string }

/** What changed something is in the log with its request's id and what it led to, so that a run can be traced back to its request. */
function noteChange(
  { context }: Mounting,
  c: Context,
  { requestId, status, run }: { readonly requestId: string; readonly status: number; readonly run: RunNote },
): void {
  const fields = { request_id: requestId, method: c.req.method, path: c.req.path, status }
  const runId = run['muster.run_id']
  context.engine.log.info(runId === undefined ? fields : { ...fields, run_id: runId }, 'request')
}

/** The run that an answer led to, if any. */
function runOf(headers: AnswerHeaders | undefined): RunNote {
  const runId = headers?.['location']?.match(/^\/v1\/runs\/(run_\w+)$/)?.[1]
  return runId === undefined ? {} : { 'muster.run_id': runId }
}

async function readCall<R extends Route>(
  { authenticator, keyWatch }: Mounting,
  route: R,
  c: Context,
  ids: { readonly requestId: string; readonly traceparent: string | null },
): Promise<Call<R>> {
  const { raw } = c.req
  const given = readQuery(raw.url)
  const workspace = await authenticator.authenticate(route.access, {
    authorization: raw.headers.get('authorization'),
    workspace: raw.headers.get('muster-workspace'),
  })
  const params = route.params.safeParse(c.req.param())
  if (!params.success) throw new AppError(route.notFound)
  const query = parseInput(route.query, given, 'query')
  const body =
    route.body === null
      ? null
      : parseInput(route.body, await readBody(raw, route.bodyBytesMax ?? BODY_BYTES_MAX), 'body')
  const call = {
    params: params.data,
    query,
    body,
    workspace,
    header: (name: string) => raw.headers.get(name),
    signal: () => raw.signal,
    onRefused: (end: () => void) => keyWatch.watch(raw.headers.get('authorization') ?? '', end),
    ...ids,
  }
  // each part was parsed by the schema that its type is inferred from
  return call as Call<R>
}

function respond<R extends Route>(
  { isDraining }: Mounting,
  c: Context,
  requestId: string,
  answer: Answer<R>,
): Response {
  const headers: Record<string, string> =
    'stream' in answer || answer.body === null ? { ...answer.headers } : { ...JSON_HEADERS, ...answer.headers }
  if (isDraining()) headers['connection'] = 'close'
  headers['x-request-id'] = requestId
  if ('stream' in answer) {
    if (c.req.method === 'HEAD') void answer.stream.cancel()
    return new Response(c.req.method === 'HEAD' ? null : answer.stream, { status: answer.status, headers })
  }
  if (answer.body === null) return new Response(null, { status: answer.status, headers })
  return new Response(JSON.stringify(answer.body), { status: answer.status, headers })
}
