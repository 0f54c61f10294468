import { createLogger } from '@muster/runtime'
import { expect, test } from 'vitest'

const logged = (use: (logger: ReturnType<typeof createLogger>) => void): string => {
  let text = ''
  use(
    createLogger({
      app: 'gateway',
      fields: { node_id: 'nod_1' },
      destination: {
        write: (line) => {
          text += line
        },
      },
    }),
  )
  return text
}

test('a line is one JSON object with the app, the ids of its parents and a readable time and level', () => {
  const line = logged((logger) => logger.child({ request_id: 'req_1' }).info({ run_id: 'run_1' }, 'accepted'))
  expect(JSON.parse(line)).toMatchObject({
    app: 'gateway',
    node_id: 'nod_1',
    request_id: 'req_1',
    run_id: 'run_1',
    level: 'info',
    msg: 'accepted',
  })
  expect(JSON.parse(line).time).toMatch(/^\d{4}-\d\d-\d\dT.*Z$/)
})

test('no secret reaches the log, by field name, by form, or within an error', () => {
  const text = logged((logger) => {
    logger.info(
      { req: { headers: { authorization: 'Bearer hunter2' } }, api_key: 'hunter2', token: 'hunter2' },
      'request',
    )
    logger.warn('refused mst_0123456789abcdef')
    logger.error(
      { err: new Error('connect postgresql://muster:hunter2@127.0.0.1:5432/muster failed') },
      'no redis://:hunter2@localhost',
    )
  })
  expect(text).not.toMatch(/hunter2|0123456789abcdef/)
  expect(text).toContain('postgresql://muster:[redacted]@127.0.0.1:5432/muster')
  expect(
    text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line)),
  ).toHaveLength(3)
})

test.each([
  'postgresql://muster:hunter2@home@127.0.0.1:5432/muster',
  'redis://:"hunter2"@127.0.0.1:6379',
  'postgresql://127.0.0.1/muster?user=muster&password=hunter2&sslmode=require',
  'authorization: Bearer hunter2hunter2',
  'authorization: Basic bXVzdGVyOmh1bnRlcjI=',
])('a secret is recognised by its place: %s', (text) => {
  const line = logged((logger) => logger.warn({ text }, `refused ${text}`))
  expect(line).not.toMatch(/hunter2|home|bXVzdGVy/)
  expect(JSON.parse(line).msg).toContain('[redacted]')
})

test('whatever is thrown can be logged, an error that is its own cause too', () => {
  const own = new Error('own')
  own.cause = own
  for (const thrown of [own, Object.create(null), null, Symbol('x'), 1n])
    expect(JSON.parse(logged((logger) => logger.error({ err: thrown }, 'failed'))).msg).toBe('failed')
})
