import { startHealthServer } from '@muster/runtime'
import { expect, test } from 'vitest'

test('readiness names each check; liveness depends on none of them', async () => {
  let up = true
  const server = await startHealthServer({
    host: '127.0.0.1',
    port: 0,
    checkTimeoutMs: 50,
    checks: {
      postgres: async () => {
        if (!up) throw new Error('connection refused')
      },
      redis: () => (up ? Promise.resolve() : new Promise(() => {})),
    },
  })
  const get = async (path: string) => {
    const response = await fetch(server.url + path)
    return [response.status, await response.json()]
  }
  expect(await get('/readyz')).toEqual([
    200,
    { status: 'ready', checks: { postgres: { status: 'ok' }, redis: { status: 'ok' } } },
  ])
  up = false
  expect(await get('/livez')).toEqual([200, { status: 'live' }])
  expect(await get('/readyz')).toEqual([
    503,
    {
      status: 'not_ready',
      checks: {
        postgres: { status: 'failed', detail: 'connection refused' },
        redis: { status: 'failed', detail: 'no answer within 50 ms' },
      },
    },
  ])
  expect((await get('/other'))[0]).toBe(404)
  await server.close()
  await expect(fetch(server.url)).rejects.toThrow()
})
