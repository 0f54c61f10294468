import { newId } from '@muster/core'
import type { ClaimedRun } from '@muster/store'
import { expect, test } from 'vitest'
import { claimedRun, newJob, openLoneDesk } from './lone-desk.ts'

/** The folders that an attempt of such a run gave a copy to, on a node that cannot start any program. */
async function replacedBy(over: Partial<ClaimedRun>): Promise<readonly string[]> {
  const job = newJob()
  const replaced: string[] = []
  const lone = openLoneDesk({
    claim: async () => ({ verdict: 'claimed', run: claimedRun(job, { attempt_number: 2, losses: 1, ...over }) }),
    parts: {
      noop: false,
      folders: {
        open: async (name) => `/none/${name}`,
        replace: async (name) => {
          replaced.push(name)
          return { kind: 'replaced', folder: `/none/${name}` }
        },
        remove: async () => undefined,
        untouched: async () => [],
        removeReplaced: async () => 0,
      },
    },
  })
  await lone.desk.take(job)
  expect(lone.finished).toHaveLength(1)
  await lone.close()
  return replaced
}

const session_id = newId('session')
const lost = (run_id: string, host_identity: string) => ({ run_id, generation: 1, status: 'lost', host_identity })

test('an attempt that ends before its program starts leaves the next one no zombie of a host out of reach', async () => {
  expect(await replacedBy({ session_id, previous: lost(newId('run'), 'elsewhere') })).toEqual([session_id])
})

test('a session whose last two attempts were lost gets a copy of its folder, since the first may live where only the second could reach', async () => {
  const run_id = newId('run')
  const previous = lost(run_id, 'here')
  expect(await replacedBy({ run_id, session_id, losses: 2, previous })).toEqual([session_id])
  expect(await replacedBy({ session_id, losses: 0, previous })).toEqual([session_id])
  expect(await replacedBy({ run_id, session_id, losses: 1, previous })).toEqual([])
})
