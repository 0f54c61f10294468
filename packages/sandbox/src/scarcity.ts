import { setTimeout as delay } from 'node:timers/promises'
import { codeOf } from './error-code.ts'

const SCARCE: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE', 'ENOMEM'])
const PAUSE_MS = 20

/** Whether something failed for want of descriptors or memory, which says nothing about what was asked. */
export const isScarcity = (error: unknown): boolean => SCARCE.has(codeOf(error))

/** Looks again and again for as long as there are no means to look. */
export async function patiently<T>(look: () => T): Promise<T> {
  for (;;) {
    try {
      return look()
    } catch (error) {
      if (!isScarcity(error)) throw error
    }
    await delay(PAUSE_MS)
  }
}
