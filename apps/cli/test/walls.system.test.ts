import { startFleet, type TestFleet, until } from '@muster/testkit'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { expectStatus } from './load/tenants.ts'

const accepted = z.object({ run: z.looseObject({ id: z.string(), status: z.string() }) })
const attempts = z.object({ data: z.array(z.looseObject({ limits: z.record(z.string(), z.string()) })) })
const explained = z.object({ explain: z.looseObject({ blocked_by: z.looseObject({ kind: z.string() }) }) })
const nodes = z.object({
  data: z.array(z.looseObject({ pools: z.record(z.string(), z.number()), status: z.string() })),
})

const submit = async (fleet: TestFleet, policy: object, headers = {}) =>
  fleet.client.post('/v1/commands', { agent: 'shell', message: 'echo done', policy }, headers)

/** Why a run waits, once the gate has looked. */
const waitsFor = (fleet: TestFleet, runId: string, kind: string): Promise<unknown> =>
  until(
    async () => {
      const { body } = await fleet.client.get(`/v1/runs/${runId}/explain`)
      const { explain } = explained.parse(body)
      return explain.blocked_by.kind === kind ? true : undefined
    },
    { deadlineMs: 20_000, what: `the run to wait for ${kind}` },
  )

test('where no node has control groups, a limit that is named is refused and one that nobody named is told as not held', async () => {
  await using fleet = await startFleet({ workers: 1, env: { MUSTER_CGROUPS: 'hidden' } })
  for (const [name, value] of [
    ['memory_mb', 512],
    ['cpu', 0.5],
    ['pids', 32],
  ]) {
    const refused = await submit(fleet, { resources: { [String(name)]: value } })
    expect(refused).toMatchObject({
      status: 422,
      body: { code: 'policy_unsupported', errors: [{ pointer: `/policy/resources/${name}` }] },
    })
  }
  const { body } = await submit(fleet, { resources: { disk_mb: 64 } }, { prefer: 'wait=30' })
  const { run } = accepted.parse(body)
  expect(run).toMatchObject({ status: 'succeeded', output: 'done' })
  const list = attempts.parse(expectStatus(await fleet.client.get(`/v1/runs/${run.id}/attempts`), 200))
  expect(list.data.map((attempt) => attempt.limits)).toEqual([
    expect.objectContaining({
      ...{ cpu: 'not_enforced', memory: 'not_enforced', pids: 'not_enforced', disk: 'enforced' },
      ...{ network: 'enforced', host_files: 'enforced', host_processes: 'enforced', syscalls: 'enforced' },
      ...{ privileges: 'enforced', workspace_access: 'enforced' },
    }),
  ])
  // What this fleet refuses for want of a node that could, it lets wait for want of any node.
  const gvisor = accepted.parse(
    expectStatus(await submit(fleet, { runtime_type: 'gvisor', resources: { memory_mb: 64 } }), 202),
  )
  await waitsFor(fleet, gvisor.run.id, 'no_node')
})

test('a node without bubblewrap does not join its pool, and what asks for it waits rather than run without', async () => {
  await using fleet = await startFleet({
    workers: 1,
    env: { MUSTER_POOLS: 'bubblewrap:2,none:1', MUSTER_BWRAP_PATH: '/nonexistent/bwrap' },
  })
  const known = nodes.parse(expectStatus(await fleet.admin.get('/v1/nodes'), 200))
  expect(known.data.map(({ pools, status }) => ({ pools, status }))).toEqual([{ pools: { none: 1 }, status: 'active' }])
  expect(fleet.log()).toContain('this node cannot serve the pool')
  const { run } = accepted.parse(expectStatus(await submit(fleet, {}), 202))
  await waitsFor(fleet, run.id, 'no_node')
  const open = await submit(fleet, { runtime_type: 'none', network_enabled: true }, { prefer: 'wait=30' })
  expect(accepted.parse(open.body).run.status).toBe('succeeded')
  expect(accepted.parse((await fleet.client.get(`/v1/runs/${run.id}`)).body).run.status).toBe('queued')
})
