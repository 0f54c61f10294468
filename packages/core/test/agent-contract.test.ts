import { agentContractSchema, ERROR_CODES, errorCodeSchema, ROUTES, TASK_STATUSES } from '@muster/contracts'
import { expect, test } from 'vitest'
import { contractForError, contractForList, contractForTask, newId } from '../src/index.ts'

const CODES = errorCodeSchema.options

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

test.for(CODES)('the error %s says what can be done next', (code) => {
  const contract = contractForError(code, null)
  expect(agentContractSchema.parse(contract)).toEqual(contract)
  expect(contract.next_actions[0]?.recommended).toBe(true)
  expect(contract.retryable).toBe(ERROR_CODES[code].retryable)
})

test('what is to be called is a route of the API, as it stands, and needs no more than it says', () => {
  const task = { id: newId('task'), run_id: newId('run') }
  const contracts = [
    contractForList(),
    ...TASK_STATUSES.map((status) => contractForTask({ ...task, status })),
    ...CODES.flatMap((code) => [contractForError(code, null), contractForError(code, null, task.id)]),
  ]
  const calls = contracts.flatMap((contract) => contract.next_actions).filter((next) => next.endpoint !== undefined)
  expect(new Set(calls.map((next) => next.action)).size).toBe(7)
  for (const { action, method, endpoint = '' } of calls) {
    const [found, ...more] = Object.values(ROUTES).flatMap((route) => {
      const match = new RegExp(`^${route.path.replaceAll(/\{(\w+)\}/g, '(?<$1>[^/]+)')}$`).exec(endpoint)
      return match !== null && route.method === method ? [{ route, params: { ...match.groups } }] : []
    })
    expect([endpoint, found?.route.access, more]).toEqual([endpoint, 'workspace', []])
    expect([endpoint, found?.route.params.safeParse(found.params).success]).toEqual([endpoint, true])
    if (action !== 'create_task') expect(found?.route.body?.safeParse({}).success ?? true).toBe(true)
  }
})

test('a transition that is not possible leads to its task, or to the list where none is named', () => {
  expect(contractForError('invalid_transition', null, 'tsk_1').next_actions).toMatchObject([
    { action: 'check_task_status', endpoint: '/v1/tasks/tsk_1' },
  ])
  expect(contractForError('invalid_transition', null).next_actions).toMatchObject([
    { action: 'list_tasks', endpoint: '/v1/tasks' },
  ])
})

test('an error about a workspace or an agent never leads to where the same is refused again', () => {
  for (const code of ['workspace_not_found', 'workspace_exists'] as const)
    expect(actionsOf(contractForError(code, null))).toEqual(['fix_request'])
  for (const code of ['agent_not_found', 'agent_inactive', 'agent_exists'] as const)
    expect(contractForError(code, null).next_actions).toMatchObject([{ action: 'list_agents', endpoint: '/v1/agents' }])
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
