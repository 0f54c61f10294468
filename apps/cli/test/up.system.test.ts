import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { isRunning, type ProcessRecord, processRecord } from '@muster/runtime'
import { removeScratchFolder, scratchFolder, startFleet } from '@muster/testkit'
import { afterEach, beforeEach, expect, test } from 'vitest'

const run = promisify(execFile)

let home: string
beforeEach(() => {
  home = join(scratchFolder(), 'home')
})
afterEach(() => removeScratchFolder(join(home, '..')))

test('the command that a newcomer is shown ends in a finished run with its output streamed, and nothing outlives Ctrl-C', async () => {
  const fleet = await startFleet({ home })
  const command = /^ {2}run=\$\((?:.|\n)*?event-stream'$/m.exec(fleet.log())?.[0] ?? 'exit 1'
  const { stdout } = await run('bash', ['-c', command])
  expect(stdout).toMatch(/^id: 1\nevent: run\.queued$/m)
  expect(stdout).toMatch(/event: run\.finished\ndata: .*"output":"hello".*"status":"succeeded"/)

  const facts = fleet.facts()
  const parts = [facts?.gateway_pid ?? 0, ...(facts?.worker_pids ?? [])].map(processRecord).filter(isRecord)
  expect(parts).toHaveLength(3)
  expect(await fleet.stop()).toBe(0)
  expect(parts.filter(isRunning)).toEqual([])
})

test('a fleet that is stopped and started again still has its runs, and its key still works', async () => {
  const first = await startFleet({ home, workers: 1 })
  const key = first.facts()?.api_key
  const sent = await first.client.post('/v1/commands', { agent: 'counter', message: '2' }, { prefer: 'wait=30' })
  expect(sent).toMatchObject({ status: 200, body: { run: { status: 'succeeded', output: { count: 2 } } } })
  await first.stop()
  await using second = await startFleet({ home, workers: 1 })
  expect(second.facts()?.api_key).toBe(key)
  const listed = await second.client.get('/v1/runs')
  expect(listed).toMatchObject({ status: 200, body: { data: [{ agent_key: 'counter', status: 'succeeded' }] } })
})

function isRecord(record: ProcessRecord | null): record is ProcessRecord {
  return record !== null
}
