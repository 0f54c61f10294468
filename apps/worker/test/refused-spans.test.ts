import { createServer } from 'node:http'
import { createLogger, freePort, paceWarnings, startTracing } from '@muster/runtime'
import { until } from '@muster/testkit'
import { expect, test } from 'vitest'

const MESSAGE = 'spans were not taken by the collector'

/** What is logged when so many spans are sent there, a second apart. */
async function toldOf(endpoint: string, spans: number): Promise<readonly Record<string, unknown>[]> {
  const lines: Record<string, unknown>[] = []
  const write = (line: string) => void lines.push(JSON.parse(line))
  const warn = paceWarnings(createLogger({ app: 'test', destination: { write } }))
  const tracing = await startTracing({ endpoint, service: 'muster-test', warn })
  for (let sent = 0; sent < spans; sent++) {
    tracing.begin('one', { kind: 'internal', parent: null, attributes: {} }).end('ok')
    await new Promise((resolve) => setTimeout(resolve, 1200))
  }
  await until(() => lines.length > 0, { deadlineMs: 20_000, what: 'a line' })
  await tracing.close()
  return lines
}

test('a collector that nobody is at is told of, once for many spans', async () => {
  const lines = await toldOf(`http://127.0.0.1:${await freePort()}`, 3)
  expect(lines).toMatchObject([{ level: 'warn', msg: MESSAGE }])
}, 40_000)

test('a collector that refuses is told of, with what it answered', async () => {
  const server = createServer((_, response) => response.writeHead(404).end())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  try {
    expect(await toldOf(`http://127.0.0.1:${port}`, 1)).toMatchObject([
      { level: 'warn', msg: MESSAGE, err: { message: 'Not Found' } },
    ])
  } finally {
    server.close()
  }
}, 40_000)
