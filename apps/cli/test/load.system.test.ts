import { randomFrom, seed, sized, startFleet } from '@muster/testkit'
import { expect, test } from 'vitest'
import { Books, peaks } from './load/books.ts'
import { expectCleanBooks } from './load/expect-clean-books.ts'
import { submitLoad } from './load/submit-load.ts'
import { makeTenants } from './load/tenants.ts'

const COMMANDS = sized({ test: 400, prove: 5000 })
const TENANTS = sized({ test: 8, prove: 50 })

test(
  'under a load of many tenants every run ends once, sessions keep their order, no limit is exceeded and nothing leaks',
  async () => {
    const random = randomFrom(seed())
    await using fleet = await startFleet({ workers: 3, slots: 4 })
    const tenants = await makeTenants(fleet, TENANTS)
    const books = new Books(fleet.facts()?.database_url ?? '')
    try {
      const submitted = await submitLoad(tenants, {
        commands: COMMANDS,
        sessionsPerAgent: 5,
        clients: 32,
        message: (n) => `echo ${n}`,
        random,
      })
      await expectCleanBooks(fleet, books, tenants, submitted, sized({ test: 120_000, prove: 900_000 }))
      expect(peaks(await books.attempts(), () => 'all').get('all')).toBeLessThanOrEqual(12)
    } finally {
      await books.close()
    }
  },
  sized({ test: 240_000, prove: 1_200_000 }),
)
