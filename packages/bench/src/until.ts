import { setTimeout as sleep } from 'node:timers/promises'

/** Long enough for a slow machine: past it, something is broken. */
const DEADLINE_MS = 600_000

/** Asks until the answer is neither false, null nor undefined, and gives it back. Throws after ten minutes. */
export async function until<T>(
  what: string,
  everyMs: number,
  ask: () => Promise<T>,
): Promise<Exclude<T, false | null | undefined>> {
  const deadline = performance.now() + DEADLINE_MS
  for (;;) {
    const answer = await ask()
    if (isSettled(answer)) return answer
    if (performance.now() > deadline) throw new Error(`waited ten minutes for ${what}`)
    await sleep(everyMs)
  }
}

function isSettled<T>(answer: T): answer is Exclude<T, false | null | undefined> {
  return answer !== false && answer !== null && answer !== undefined
}
