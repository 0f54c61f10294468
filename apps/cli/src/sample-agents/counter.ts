import { readFileSync } from 'node:fs'
import type { CreateAgent } from '@muster/contracts'

/** Counts to the number in the message, with a snapshot at each step. */
export const counter: CreateAgent = {
  key: 'counter',
  name: 'Counter: counts, and resumes where it was cut off',
  config: {
    runner: 'process',
    command: ['sh', '-c', 'exec node "$MUSTER_AGENT_FOLDER/counter.mjs"'],
    files: { 'counter.mjs': readFileSync(new URL('counter.mjs', import.meta.url), 'utf8') },
  },
}
