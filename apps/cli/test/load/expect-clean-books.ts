import type { TestFleet } from '@muster/testkit'
import { until } from '@muster/testkit'
import { expect } from 'vitest'
import { type Books, outOfOrder, overlaps, peaks } from './books.ts'
import type { Submitted } from './submit-load.ts'
import type { Tenant } from './tenants.ts'

/** Waits until all has ended, then holds Postgres against every promise that a load can break. */
export async function expectCleanBooks(
  fleet: TestFleet,
  books: Books,
  tenants: readonly Tenant[],
  submitted: readonly Submitted[],
  deadlineMs: number,
): Promise<void> {
  await until(async () => ((await books.unfinished().catch(() => 1)) === 0 ? true : undefined), {
    deadlineMs,
    everyMs: 250,
    what: 'every run to end',
  })
  const ended = await books.query<{ id: string; status: string }>('SELECT id, status FROM runs')
  const statuses = new Map(ended.map((row) => [row.id, row.status]))
  expect(new Set(submitted.map((each) => each.taskId)).size).toBe(submitted.length)
  expect(submitted.filter((each) => statuses.get(each.runId) !== 'succeeded')).toEqual([])
  expect(ended).toHaveLength(submitted.length)
  expect(await books.eventFaults()).toEqual([])

  const attempts = await books.attempts()
  expect(overlaps(attempts)).toEqual([])
  expect(outOfOrder(attempts)).toEqual([])
  expect(exceeded(attempts, tenants)).toEqual([])

  // at rest within a moment: the last slots are on their way back
  const atRest = await until(
    async () => {
      const answer = await fleet.admin.get('/v1/ops/invariants').catch(() => null)
      if (answer?.status !== 200) return undefined
      const { violations } = answer.body as { violations: unknown[] }
      return violations.length === 0 ? answer.body : undefined
    },
    { deadlineMs: 20_000, everyMs: 500, what: 'no violation at rest' },
  )
  expect(atRest).toMatchObject({ violations: [] })
}

function exceeded(attempts: Awaited<ReturnType<Books['attempts']>>, tenants: readonly Tenant[]): string[] {
  const found: string[] = []
  const workspaces = peaks(attempts, (line) => line.workspaceId)
  const agents = peaks(attempts, (line) => line.agentId)
  const lanes = peaks(attempts, (line) => `${line.agentId}/${line.lane}`)
  const check = (name: string, peak: number | undefined, limit: number | null): void => {
    if (limit !== null && (peak ?? 0) > limit) found.push(`${name}: ${peak} of ${limit}`)
  }
  for (const tenant of tenants) {
    check(tenant.key, workspaces.get(tenant.workspaceId), tenant.limit)
    for (const agent of tenant.agents) {
      check(`${tenant.key}/${agent.key}`, agents.get(agent.id), agent.limit)
      check(`${tenant.key}/${agent.key}/narrow`, lanes.get(`${agent.id}/narrow`), tenant.laneLimit)
    }
  }
  return found
}
