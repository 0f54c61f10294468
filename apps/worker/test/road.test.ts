import { checkInvariants } from '@muster/engine'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openSmallFleet, type SmallFleet } from './small-fleet.ts'

let fleet: SmallFleet
beforeAll(async () => {
  fleet = await openSmallFleet()
  await fleet.agent('shell', {
    command: [
      '/bin/bash',
      '-c',
      `IFS= read -r line; node -p 'JSON.parse(process.argv[1]).message' "$line" > /tmp/s; exec bash /tmp/s`,
    ],
  })
  await fleet.worker({ MUSTER_POOLS: 'bubblewrap:4', MUSTER_DRAIN_MS: '0' })
})
afterAll(() => fleet.close())

test('a command runs in a sandbox and its output, events and attempt are kept', async () => {
  const { run } = await fleet.submit({ agent: 'shell', message: 'echo hello; id -u; pwd' })
  const done = await fleet.run(run.id, 'succeeded', 'failed')
  expect(done).toMatchObject({ status: 'succeeded', output: expect.stringMatching(/^hello\n\d+\n\/workspace$/) })
  const events = await fleet.events(run.id)
  expect(events.map((event) => event.seq)).toEqual(events.map((_, index) => index + 1))
  const types = events.map((event) => event.type)
  expect([...new Set(types)]).toEqual(['run.queued', 'run.started', 'agent.log', 'run.finished'])
})

test('a failing run is tried again and ends failed with its exit code', async () => {
  const { run } = await fleet.submit({
    agent: 'shell',
    message: 'echo oops >&2; exit 3',
    policy: { retry: { max_attempts: 2 } },
  })
  expect(await fleet.run(run.id, 'failed')).toMatchObject({ attempt_count: 2, failure: { code: 'agent_exit' } })
})

test('a session keeps its folder between runs and runs them one at a time in order', async () => {
  const runs = []
  for (let n = 0; n < 5; n++)
    runs.push(
      await fleet.submit({ agent: 'shell', message: `echo ${n} >> log; cat log | tr -d '\\n'`, session_key: 's' }),
    )
  const last = await fleet.run(runs[4]?.run.id ?? '', 'succeeded', 'failed')
  expect(last.output).toBe('01234')
})

test('a run past its time ends timed_out', async () => {
  const { run } = await fleet.submit({
    agent: 'shell',
    message: 'sleep 60',
    timeout_ms: 300,
    policy: { retry: { max_attempts: 1 } },
  })
  expect(await fleet.run(run.id, 'timed_out')).toMatchObject({ failure: { code: 'timed_out' } })
})

test('an agent that saves a state shows one event for it, with the number of its snapshot', async () => {
  const say = `IFS= read -r line; echo '{"type":"snapshot","state":{"n":1}}'; IFS= read -r saved; echo "$saved"`
  await fleet.agent('saver', { command: ['/bin/sh', '-c', say] })
  const { run } = await fleet.submit({ agent: 'saver', message: '' })
  await fleet.run(run.id, 'succeeded')
  const events = (await fleet.events(run.id)).filter((event) => event.type === 'agent.snapshot')
  expect(events.map((event) => event.data)).toEqual([{ seq: 3 }])
})

test('nothing is wrong at rest', async () => {
  expect((await checkInvariants(fleet.context)).violations).toEqual([])
})
