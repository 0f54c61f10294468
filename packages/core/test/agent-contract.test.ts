import { agentContractSchema, ERROR_CODES, errorCodeSchema, TASK_STATUSES } from '@muster/contracts'
import { expect, test } from 'vitest'
import { contractForError, contractForList, contractForTask } from '../src/index.ts'

const actionsOf = (contract: { next_actions: readonly { action: string }[] }) =>
  contract.next_actions.map((next) => next.action)

test.for(TASK_STATUSES)('a task that is %s says what can be done next, and recommends exactly one thing', (status) => {
  const contract = contractForTask({ id: 'tsk_1', status, run_id: 'run_1' })
  expect(agentContractSchema.parse(contract)).toEqual(contract)
  expect(contract.next_actions.filter((next) => next.recommended)).toHaveLength(1)
  const expected: Record<string, readonly string[]> = {
    completed: ['create_task'],
    cancelled: ['create_task'],
    dead_letter: ['requeue_task'],
  }
  expect(actionsOf(contract)).toEqual(expected[status] ?? ['check_task_status', 'stream_events', 'cancel_task'])
})

test.for(Object.keys(ERROR_CODES).map((code) => errorCodeSchema.parse(code)))(
  'the error %s says what can be done next',
  (code) => {
    const contract = contractForError(code, null)
    expect(agentContractSchema.parse(contract)).toEqual(contract)
    expect(contract.next_actions[0]?.recommended).toBe(true)
    expect(contract.retryable).toBe(ERROR_CODES[code].retryable)
  },
)

test('a transition that is not possible leads to its task, or to the list where none is named', () => {
  expect(contractForError('invalid_transition', null, 'tsk_1').next_actions).toMatchObject([
    { action: 'check_task_status', endpoint: '/v1/tasks/tsk_1' },
  ])
  expect(contractForError('invalid_transition', null).next_actions).toMatchObject([
    { action: 'list_tasks', endpoint: '/v1/tasks' },
  ])
})

test('another method may be tried, with a key', () => {
  const contract = contractForError('wrong_method', null)
  expect([contract.retryable, actionsOf(contract)]).toEqual([true, ['authenticate']])
})

test('an error that will pass says how many whole seconds to wait, at least one', () => {
  const waits = [1, 1000, 1001].map((ms) => contractForError('unavailable', ms).next_actions[0]?.retry_after_seconds)
  expect(waits).toEqual([1, 1, 2])
  expect(contractForError('rate_limited', null).next_actions[0]?.retry_after_seconds).toBe(60)
})

test('an answer about no single task leads on', () => {
  expect(actionsOf(contractForList())).toEqual(['create_task', 'list_tasks'])
})
