import { FAILURE_CODES, type Failure } from '@muster/contracts'
import { cutText } from './agent-event.ts'
import type { AgentMessage } from './agent-execution.ts'
import type { LastWord, RefusedLine } from './parse-agent-line.ts'

/** What stands for a code that an agent may not use. */
const OTHER_CODE = 'agent_error'
const OWN_CODE = /^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$/
const RESERVED: ReadonlySet<string> = new Set(FAILURE_CODES.filter((code) => code !== OTHER_CODE))
const NAMES: Readonly<Record<LastWord, string>> = { result: 'a result', error: 'an error' }
const CODE_BYTES = 128
const MESSAGE_BYTES = 8 * 1024

/**
 * The failure that an agent reports, under its own code. The fleet's codes are the fleet's to give: an agent that names one of
 * them, or a text that is no plain word and might only look like one, fails with `agent_error` and has its code in the message.
 */
export function agentFailure({ code, message, retryable = true }: AgentMessage<'error'>): Failure {
  const isOwn = OWN_CODE.test(code) && !RESERVED.has(code.toLowerCase())
  const words = isOwn ? message : `${JSON.stringify(cutText(code, CODE_BYTES))}: ${message}`
  return { code: isOwn ? code : OTHER_CODE, message: cutText(words, MESSAGE_BYTES), retryable }
}

/** The failure of an agent whose last word cannot be taken for what it should say. */
export function refusedFailure({ word, reason, retryable }: RefusedLine): Failure {
  return {
    code: word === 'result' ? 'invalid_result' : OTHER_CODE,
    message: `The agent gave ${NAMES[word]} that is no message of the protocol: ${reason}`,
    retryable,
  }
}

export function tooLongFailure(word: LastWord, bytes: number): Failure {
  return {
    code: word === 'result' ? 'output_limit_exceeded' : OTHER_CODE,
    message: `The agent gave ${NAMES[word]} that is longer than a line of the protocol may be (${bytes} bytes).`,
    retryable: word === 'error',
  }
}
