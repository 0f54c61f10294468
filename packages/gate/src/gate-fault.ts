/**
 * Thrown when a script failed or answered what it never should: what Redis holds is not what the gate wrote (a key evicted or edited).
 * A rebuild with a new epoch heals it.
 */
export class GateFault extends Error {
  override readonly name = 'GateFault'
}
