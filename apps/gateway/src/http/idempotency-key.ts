import { clientKeySchema } from '@muster/contracts'
import { AppError } from '@muster/core'
import { faultsOf } from './faults-of.ts'

/** The idempotency key of a request, from its header or its body; both and different is refused. */
export function idempotencyKeyOf(header: string | null, field: string | undefined): string | null {
  if (header === null) return field ?? null
  const parsed = clientKeySchema.safeParse(header)
  if (!parsed.success) {
    const faults = faultsOf(parsed.error.issues, 'header').map(({ detail }) => ({
      pointer: 'header/idempotency-key',
      detail,
    }))
    throw new AppError('invalid_request', `the header Idempotency-Key: ${faults[0]?.detail ?? 'invalid'}`, { faults })
  }
  if (field !== undefined && field !== header) {
    const faults = [{ pointer: '/idempotency_key', detail: 'differs from the header Idempotency-Key' }]
    throw new AppError('invalid_request', 'the header Idempotency-Key and the field idempotency_key differ', { faults })
  }
  return header
}
