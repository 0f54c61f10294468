import { sandboxContract } from './sandbox-contract.ts'

sandboxContract('bubblewrap without control groups', { isolation: 'namespaces' })
