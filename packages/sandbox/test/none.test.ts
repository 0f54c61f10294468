import { createNone } from '../src/index.ts'
import { sandboxContract } from './sandbox-contract.ts'

sandboxContract('none', (cacheRoot) => createNone({ cacheRoot }), { isolation: 'nothing' })
