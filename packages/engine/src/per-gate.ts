import type { Gate } from '@muster/gate'

/** Makes a thing for each gate of the process, when it is first asked for. */
export function perGate<Thing extends object>(make: (gate: Gate) => Thing): (gate: Gate) => Thing {
  const made = new WeakMap<Gate, Thing>()
  return (gate) => {
    const known = made.get(gate)
    if (known !== undefined) return known
    const thing = make(gate)
    made.set(gate, thing)
    return thing
  }
}
