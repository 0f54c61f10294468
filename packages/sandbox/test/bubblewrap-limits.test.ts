import { join } from 'node:path'
import { afterAll, describe } from 'vitest'
import { createBubblewrap } from '../src/index.ts'
import { limitsContract } from './limits-contract.ts'
import { makePlace } from './place.ts'

describe.each([['auto'], ['hidden']] as const)('bubblewrap with control groups %s', async (cgroups) => {
  const place = makePlace()
  const sandbox = createBubblewrap({ cacheRoot: join(place.root, 'cache'), cgroups })
  afterAll(() => place.remove())
  const probe = await sandbox.probe()
  limitsContract(sandbox, new Set(probe.kind === 'usable' ? probe.holds : []))
})
