import { setTimeout as sleep } from 'node:timers/promises'

export type UntilOptions = {
  /** How long to go on asking; 20 s unless told. */
  readonly deadlineMs?: number
  readonly everyMs?: number
  /** What is waited for, for the message when it does not come. */
  readonly what?: string
}

/** Asks until the answer is neither false, null nor undefined, and gives it back. An answer that throws counts as "not yet". */
export async function until<T>(
  condition: () => T | Promise<T>,
  { deadlineMs = 20_000, everyMs = 20, what = 'the condition' }: UntilOptions = {},
): Promise<Exclude<T, false | null | undefined>> {
  const deadline = performance.now() + deadlineMs
  let last: unknown
  for (;;) {
    try {
      const answer = await condition()
      if (isSettled(answer)) return answer
      last = answer
    } catch (error) {
      last = error
    }
    if (performance.now() > deadline)
      throw new Error(`waited ${deadlineMs} ms for ${what}; the last answer was ${describe(last)}`, { cause: last })
    await sleep(everyMs)
  }
}

function isSettled<T>(answer: T): answer is Exclude<T, false | null | undefined> {
  return answer !== false && answer !== null && answer !== undefined
}

function describe(last: unknown): string {
  return last instanceof Error ? last.message : (JSON.stringify(last) ?? String(last))
}
