import { GateUnavailable } from '@muster/gate'

/** The answer of a call to the gate, or null when Redis did not answer: the reconciler will make up for it. */
export async function withGate<T>(call: () => Promise<T>): Promise<T | null> {
  try {
    return await call()
  } catch (error) {
    if (error instanceof GateUnavailable) return null
    throw error
  }
}
