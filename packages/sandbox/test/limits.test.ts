import { join } from 'node:path'
import { afterAll, describe } from 'vitest'
import { adapter, missingFor } from './adapters.ts'
import { limitsContract } from './limits-contract.ts'
import { makePlace } from './place.ts'

const NAMES = ['bubblewrap', 'bubblewrap without control groups', 'runc', 'runc without control groups']

for (const name of NAMES) {
  const missing = missingFor(name)
  describe.skipIf(missing !== null)(missing === null ? name : `${name} (skipped: ${missing})`, async () => {
    const place = makePlace()
    const sandbox = adapter(name, join(place.root, 'cache'))
    afterAll(() => place.remove())
    const probe = missing === null ? await sandbox.probe() : null
    limitsContract(sandbox, new Set(probe?.kind === 'usable' ? probe.holds : []))
  })
}
