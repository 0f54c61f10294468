import { createBubblewrap } from '../src/index.ts'
import { sandboxContract } from './sandbox-contract.ts'

sandboxContract('bubblewrap', (cacheRoot) => createBubblewrap({ cacheRoot, cgroups: 'hidden' }), {
  isolation: 'namespaces',
})
