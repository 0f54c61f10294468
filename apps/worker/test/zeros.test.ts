import { createMetrics } from '@muster/runtime'
import { parsePrometheus } from '@muster/testkit'
import { expect, test } from 'vitest'
import { createWorkerMetrics } from '../src/metrics/worker-metrics.ts'

test('a counter with labels shows 0 before anything is counted, but for tenants, which are not known', async () => {
  const samples = async (tenantDetail: 'none' | 'workspace') => {
    const metrics = createMetrics(['commands_total', 'run_recoveries_total'], { tenantDetail })
    metrics.showZeros('commands_total', [{ outcome: 'accepted' }])
    metrics.showZeros('run_recoveries_total', [{ cause: 'lost' }])
    return [...parsePrometheus((await metrics.scrape()).text).values()].flatMap((family) => family.samples)
  }
  const accepted = { name: 'muster_commands_total', labels: { outcome: 'accepted' }, value: 0 }
  const lost = { name: 'muster_run_recoveries_total', labels: { cause: 'lost' }, value: 0 }
  expect(await samples('none')).toEqual([accepted, lost])
  expect(await samples('workspace')).toEqual([lost])
})

test('the first runs that a worker brings back are no first sample', async () => {
  const { text } = await createWorkerMetrics().scrape()
  for (const name of ['run_recoveries_total', 'duties_total', 'gate_rebuilds_total'])
    expect(
      parsePrometheus(text)
        .get(`muster_${name}`)
        ?.samples.map(({ value }) => value),
    ).toContain(0)
})
