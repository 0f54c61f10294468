import { sandboxContract } from './sandbox-contract.ts'

sandboxContract('bubblewrap', { isolation: 'namespaces' })
