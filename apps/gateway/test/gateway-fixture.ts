import { randomBytes } from 'node:crypto'
import { agentContractSchema, type JsonObject, problemSchema, ROUTES } from '@muster/contracts'
import { createGate, type Gate } from '@muster/gate'
import { type Database, openDatabase } from '@muster/store'
import { createDatabase, MIGRATIONS_FOLDER, sharedRedis, type TestDatabase } from '@muster/testkit'
import { expect } from 'vitest'
import { z } from 'zod'
import { buildApp, type GatewayApp } from '../src/build-app.ts'

export const ADMIN_TOKEN = 'admin-token-of-the-tests'

export type Reply = {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  readonly body: JsonObject
  /** What stands at a place such as `data.0.id`. */
  at(path: string): unknown
  textAt(path: string): string
}
export type CallOptions = {
  readonly key?: string | null
  readonly body?: unknown
  /** Sent as it is, instead of `body`. */
  readonly raw?: string | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array>
  readonly headers?: Readonly<Record<string, string>>
}

export type Fixture = {
  readonly test: TestDatabase
  readonly database: Database
  readonly gate: Gate
  readonly gateway: GatewayApp
  /** Key of the workspace `default`. */
  readonly key: string
  readonly logged: { readonly level: string; readonly fields: object; readonly message: string }[]
  /** Sends a request in process and checks what every JSON answer must have. */
  call(method: string, path: string, options?: CallOptions): Promise<Reply>
  /** Another gateway on the same database and fleet. */
  another(): GatewayApp
  workspace(): Promise<{ id: string; key: string; secret: string }>
  agent(options?: {
    readonly key?: string
    readonly secret?: string
    readonly config?: object
  }): Promise<{ id: string; key: string }>
  close(): Promise<void>
}

const SILENT_CONFIG = { runner: 'process', command: ['/bin/cat'] }

/** A gateway in this process on a database of its own; no worker runs. */
export async function openFixture(redisUrl?: string): Promise<Fixture> {
  const test = await createDatabase()
  const shared = sharedRedis()
  const database = openDatabase({ url: test.url, poolSize: 10, onError: () => undefined })
  const gate = createGate({ redisUrl: redisUrl ?? shared.url, fleet: shared.fleet, onError: () => undefined })
  const logged: Fixture['logged'] = []
  const note = (level: string) => (fields: object, message: string) => void logged.push({ level, fields, message })
  const log = { info: note('info'), warn: note('warn'), error: note('error') }
  const build = (): GatewayApp =>
    buildApp({ engine: { database, gate, log }, adminToken: ADMIN_TOKEN, migrationsDir: MIGRATIONS_FOLDER })
  const gateway = build()
  const apps = [gateway]

  const call = async (method: string, path: string, options: CallOptions = {}): Promise<Reply> => {
    const key = options.key === undefined ? fixture.key : options.key
    const response = await gateway.app.request(`http://muster.test${path}`, {
      method,
      headers: {
        ...(key === null ? {} : { authorization: `Bearer ${key}` }),
        ...(options.body === undefined ? {} : { 'content-type': 'application/json' }),
        ...options.headers,
      },
      ...(options.raw !== undefined
        ? { body: options.raw, duplex: 'half' }
        : options.body === undefined
          ? {}
          : { body: JSON.stringify(options.body) }),
    })
    const text = await response.text()
    const reply = replyOf(response, text)
    checkReply(method, path, reply)
    return reply
  }

  const fixture: Fixture & { key: string } = {
    test,
    database,
    gate,
    gateway,
    key: '',
    logged,
    call,
    another() {
      const app = build()
      apps.push(app)
      return app
    },
    async workspace() {
      const made = await call('POST', '/v1/workspaces', {
        key: ADMIN_TOKEN,
        body: { key: `w${randomBytes(5).toString('hex')}` },
      })
      const id = made.textAt('workspace.id')
      const minted = await call('POST', `/v1/workspaces/${id}/keys`, { key: ADMIN_TOKEN, body: {} })
      return { id, key: made.textAt('workspace.key'), secret: minted.textAt('secret') }
    },
    async agent({ key = `a${randomBytes(5).toString('hex')}`, secret = fixture.key, config = SILENT_CONFIG } = {}) {
      const made = await call('POST', '/v1/agents', { key: secret, body: { key, config } })
      expect(made.status).toBe(201)
      return { id: made.textAt('agent.id'), key }
    },
    async close() {
      for (const app of apps) {
        app.drain()
        await app.settled()
      }
      await gate.close()
      await database.close()
      await test.drop()
    },
  }
  await call('POST', '/v1/workspaces', { key: ADMIN_TOKEN, body: { key: 'default' } })
  fixture.key = (await call('POST', '/v1/workspaces/default/keys', { key: ADMIN_TOKEN, body: {} })).textAt('secret')
  return fixture
}

export function replyOf(response: Response, text: string): Reply {
  const body: JsonObject =
    text === '' || !response.headers.get('content-type')?.includes('json') ? {} : JSON.parse(text)
  const at = (path: string): unknown => {
    let value: unknown = body
    for (const part of path.split('.'))
      value = typeof value === 'object' && value !== null ? Reflect.get(value, part) : undefined
    return value
  }
  return {
    status: response.status,
    headers: response.headers,
    text,
    body,
    at,
    textAt: (path) => z.string().parse(at(path)),
  }
}

const matchers = Object.values(ROUTES).map((route) => ({
  route,
  pattern: new RegExp(`^${route.path.replaceAll(/[.]/g, '\\.').replaceAll(/\{\w+\}/g, '[^/]+')}$`),
}))

/** Every JSON answer has its contract, every refusal is a problem of the registered form, every success fits its route. */
function checkReply(method: string, path: string, reply: Reply): void {
  expect(reply.headers.get('x-request-id')).toMatch(/^\S+$/)
  if (reply.text === '') return
  const type = reply.headers.get('content-type')
  const [pathname] = path.split('?')
  const found = matchers.filter(({ route, pattern }) => route.method === method && pattern.test(pathname ?? ''))
  const tag = found[0]?.route.tag
  if (tag !== 'discovery' || reply.status >= 400) agentContractSchema.parse(reply.body['agent_contract'])
  if (reply.status >= 400 && pathname !== '/readyz' && pathname !== '/health') {
    expect(type).toBe('application/problem+json')
    const problem = problemSchema.parse(reply.body)
    expect(problem.status).toBe(reply.status)
    expect(problem.request_id).toBe(reply.headers.get('x-request-id'))
    return
  }
  const responses: Readonly<Record<number, { readonly body: z.ZodType | null }>> = found[0]?.route.responses ?? {}
  const schema = responses[reply.status]?.body
  if (schema === null || schema === undefined)
    throw new Error(`${method} ${path} answered ${reply.status} with a body that no route declares`)
  expect(type).toBe('application/json')
  schema.parse(reply.body)
}
