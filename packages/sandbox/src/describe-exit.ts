import { constants } from 'node:os'
import type { Failure } from '@muster/contracts'
import type { SandboxExit } from './sandbox.ts'

const SIGNAL_CODES = 128

/** What an end without a word from the agent means: null when it is a success. */
export function describeExit(exit: SandboxExit, stderrTail: string): Failure | null {
  if (exit.fault !== null) {
    return { code: 'sandbox_unavailable', message: `The sandbox could not be set up: ${exit.fault}`, retryable: true }
  }
  if (exit.breach?.resource === 'disk')
    return { code: 'disk_limit_exceeded', message: `The agent was stopped: ${exit.breach.detail}.`, retryable: false }
  if (exit.code === 0 && exit.signal === null) return null
  const tail = stderrTail === '' ? '' : ` The end of its stderr:\n${stderrTail}`
  if (exit.breach?.resource === 'memory') {
    const message = `The agent ${wordsFor(exit)}: ${exit.breach.detail}.${tail}`
    return { code: 'memory_limit_exceeded', message, retryable: true }
  }
  return { code: 'agent_exit', message: `The agent ${wordsFor(exit)}.${tail}`, retryable: true }
}

function wordsFor(exit: SandboxExit): string {
  if (exit.signal !== null) return `was killed by ${exit.signal}`
  const signal = Object.entries(constants.signals).find(([, number]) => SIGNAL_CODES + number === exit.code)?.[0]
  return `exited with code ${exit.code}${signal === undefined ? '' : ` (${signal})`}`
}
