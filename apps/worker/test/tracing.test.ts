import { otlpReceiver, until } from '@muster/testkit'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openSmallFleet, type SmallFleet } from './small-fleet.ts'

const TRACE = '0af7651916cd43dd8448eb211c80319c'
const TRACEPARENT = `00-${TRACE}-b7ad6b7169203331-01`
const policy = { runtime_type: 'none' as const }
let fleet: SmallFleet
let receiver: Awaited<ReturnType<typeof otlpReceiver>>
beforeAll(async () => {
  fleet = await openSmallFleet()
  receiver = await otlpReceiver()
  await fleet.agent('tells', { command: ['/bin/sh', '-c', 'echo "[$TRACEPARENT]"'] })
})
afterAll(async () => {
  await fleet.close()
  receiver.close()
})

test('the spans of a run belong to the trace that its command came with, down to the program in the sandbox', async () => {
  const worker = await fleet.worker({ MUSTER_POOLS: 'none:2', OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url })
  const { run } = await fleet.submit({ agent: 'tells', message: '', policy }, TRACEPARENT)
  const ended = await fleet.run(run.id, 'succeeded')
  const spans = await until(
    () => {
      const own = receiver.spans.filter(({ traceId }) => traceId === TRACE)
      return own.length === 3 ? own : undefined
    },
    { deadlineMs: 20_000, what: 'three spans' },
  )
  const named = (name: string) => spans.find((span) => span.name === name)
  const job = named('process none')
  const attempt = named('invoke_agent tells')
  expect(job).toMatchObject({
    parentSpanId: 'b7ad6b7169203331',
    service: 'muster-worker',
    kind: 5,
    status: { code: 1 },
  })
  expect(attempt?.parentSpanId).toBe(job?.spanId)
  expect(named('sandbox.start')?.parentSpanId).toBe(attempt?.spanId)
  expect(job?.attributes).toContainEqual({ key: 'muster.run_id', value: { stringValue: run.id } })
  expect(ended['output']).toBe(`[00-${TRACE}-${attempt?.spanId}-01]`)
  await worker.drain()
})

test('without a receiver the trace is handed on as it came, and without a trace there is none', async () => {
  const worker = await fleet.worker({ MUSTER_POOLS: 'none:2' })
  const traced = await fleet.submit({ agent: 'tells', message: '', policy }, TRACEPARENT)
  const plain = await fleet.submit({ agent: 'tells', message: '', policy })
  expect((await fleet.run(traced.run.id, 'succeeded'))['output']).toBe(`[${TRACEPARENT}]`)
  expect((await fleet.run(plain.run.id, 'succeeded'))['output']).toBe('[]')
  await worker.drain()
})

test('a receiver that does not answer costs a run nothing', async () => {
  const worker = await fleet.worker({ MUSTER_POOLS: 'none:2', OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9' })
  const { run } = await fleet.submit({ agent: 'tells', message: '', policy })
  await fleet.run(run.id, 'succeeded')
  await worker.drain()
})
