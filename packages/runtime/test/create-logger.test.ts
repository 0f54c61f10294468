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
