/** What a call answers, or null where it throws: what is looked at may vanish at any time. */
export function attempt<T>(call: () => T): T | null {
  try {
    return call()
  } catch {
    return null
  }
}
