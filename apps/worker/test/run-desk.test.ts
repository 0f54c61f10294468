import type { Sandbox } from '@muster/sandbox'
import { expect, test } from 'vitest'
import { claimedRun, newJob, openLoneDesk } from './lone-desk.ts'

test.for(['finished', 'fenced'] as const)(
  'a run whose end is %s loses its folder only where no other attempt can be at work in it',
  async (outcome) => {
    const job = newJob()
    const lone = openLoneDesk({
      claim: async () => ({ verdict: 'claimed', run: claimedRun(job, { attempt_number: 2 }) }),
      finish: async () => ({ outcome, next: null }),
    })
    await lone.desk.take(job)
    await lone.desk.empty()
    expect(lone.removed).toEqual(outcome === 'finished' ? [job.run_id] : [])
    await lone.close()
  },
)

test('a job that came twice is done with its run, however long the place goes on to others', async () => {
  const [job, next] = [newJob(), newJob()]
  const going = Promise.withResolvers<void>()
  const lone = openLoneDesk({
    claim: async (claimed) => ({
      verdict: 'claimed',
      run: claimedRun(claimed, claimed.run_id === next.run_id ? { message: '{"ms": 60000}' } : {}),
    }),
    finish: async ({ runId }) => ({ outcome: 'finished', next: runId === job.run_id ? next : null }),
  })
  const place = lone.desk.take(job, () => going.resolve())
  const twice = lone.desk.take(job)
  await going.promise
  const still = lone.desk.take(next)
  const over = await Promise.race([
    twice.then(() => 'over'),
    new Promise((resolve) => setTimeout(resolve, 500, 'held')),
  ])
  expect(over).toBe('over')
  lone.desk.stopAll({ kind: 'lost' })
  await Promise.all([place, still])
  await lone.close()
})

test('a job whose claim or end cannot be had is told of and hurts no other', async () => {
  const [bad, good] = [newJob(), newJob()]
  const lone = openLoneDesk({
    claim: async (job) => {
      if (job.run_id === bad.run_id) throw new Error('no such function')
      return { verdict: 'claimed', run: claimedRun(job) }
    },
  })
  await Promise.all([lone.desk.take(bad), lone.desk.take(good)])
  expect(lone.logged.filter(({ level }) => level === 'error')).toEqual([
    expect.objectContaining({ fields: expect.objectContaining({ run_id: bad.run_id }) }),
  ])
  await lone.close()
})

test('an attempt ends as its program ended, though what it was shown could not be removed', async () => {
  const job = newJob()
  const attachment = { name: 'note', media_type: 'text/plain', bytes: 1 }
  const sandbox: Sandbox = {
    runtime: 'none',
    probe: async () => ({ kind: 'unusable', reason: 'not asked' }),
    start: async () => ({ kind: 'failed', reason: 'how it ended' }),
  }
  const lone = openLoneDesk({
    claim: async () => ({ verdict: 'claimed', run: claimedRun(job, { attachments: [attachment] }) }),
    parts: {
      noop: false,
      sandboxes: new Map([['none', sandbox]]),
      folders: {
        open: async () => '/none',
        replace: async () => ({ kind: 'failed', reason: 'not asked' }),
        remove: async () => undefined,
        untouched: async () => [],
        removeReplaced: async () => 0,
      },
      agentFolders: {
        bundles: { find: async () => ({ kind: 'absent', reason: 'not asked' }) },
        attachmentFolders: {
          open: async () => ({ folder: '/none', remove: () => Promise.reject(new Error('busy')) }),
          prune: async () => 0,
        },
        readAttachments: async () => [{ name: 'note', text: 'x' }],
      },
    },
  })
  await lone.desk.take(job)
  expect(lone.finished.map(({ end }) => end.failure?.message)).toEqual(['how it ended'])
  await lone.close()
})
