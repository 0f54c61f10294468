import { clientKeySchema } from '@muster/contracts'
import { AppError } from '@muster/core'
import { faultsOf } from './faults-of.ts'

/** The idempotency key of a request, from its header or its body; both and different is refused. */
export function idempotencyKeyOf(sent: string | null, field: string | undefined): string | null {
  if (sent === null) return field ?? null
  const header = textOf(sent)
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

/** What a header says: its bytes, of which each is told as one character, are UTF-8 as those of a body are. */
function textOf(sent: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(sent, 'latin1'))
  } catch (cause) {
    const faults = [{ pointer: 'header/idempotency-key', detail: 'not valid UTF-8' }]
    throw new AppError('invalid_request', 'the header Idempotency-Key is not valid UTF-8', { faults, cause })
  }
}
