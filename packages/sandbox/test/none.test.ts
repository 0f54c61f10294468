import { sandboxContract } from './sandbox-contract.ts'

sandboxContract('none', { isolation: 'nothing' })
