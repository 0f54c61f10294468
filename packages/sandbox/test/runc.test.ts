import { sandboxContract } from './sandbox-contract.ts'

sandboxContract('runc', { isolation: 'namespaces' })
