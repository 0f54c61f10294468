import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import {
  type CreateAgent,
  createAgentSchema,
  type FromAgent,
  fromAgentSchema,
  type JsonValue,
  type ToAgent,
} from '@muster/contracts'
import { removeScratchFolder, scratchFolder } from '@muster/testkit'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { counter } from '../src/sample-agents/counter.ts'
import { echo } from '../src/sample-agents/echo.ts'
import { shell } from '../src/sample-agents/shell.ts'

let folder: string
beforeEach(() => {
  folder = scratchFolder()
})
afterEach(() => removeScratchFolder(folder))

/** Runs an agent as a sandbox would show it the world, without one. */
function run(agent: CreateAgent, message: string, state: JsonValue = null): ChildProcessWithoutNullStreams {
  const [program = '', ...args] = agent.config.command
  const workspace = join(folder, 'workspace')
  mkdirSync(workspace, { recursive: true })
  for (const [path, text] of Object.entries(agent.config.files ?? {})) {
    mkdirSync(dirname(join(folder, 'agent', path)), { recursive: true })
    writeFileSync(join(folder, 'agent', path), text)
  }
  const env = {
    PATH: `${dirname(process.execPath)}:${process.env['PATH']}`,
    MUSTER_AGENT_FOLDER: join(folder, 'agent'),
    MUSTER_WORKSPACE_FOLDER: workspace,
    TMPDIR: folder,
  }
  const child = spawn(program, args, { cwd: workspace, env })
  child.stdin.on('error', () => undefined)
  tell(child, startLine(agent, message, state))
  return child
}

function startLine(agent: CreateAgent, message: string, state: JsonValue): ToAgent {
  return {
    type: 'start',
    version: 1,
    run: { id: 'run_1', generation: 1, timeout_ms: 600_000 },
    task: { id: 'tsk_1', type: 'command', label: null, metadata: {} },
    session: null,
    attempt: 1,
    agent: { id: 'agt_1', key: agent.key, version: 1, config: {} },
    message,
    attachments: [],
    extra_system_prompt: null,
    routing: null,
    provenance: null,
    state,
  }
}

function tell(child: ChildProcessWithoutNullStreams, message: ToAgent): void {
  child.stdin.write(`${JSON.stringify(message)}\n`)
}

async function outcome(
  child: ChildProcessWithoutNullStreams,
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk) => {
    stdout += chunk
  })
  child.stderr.on('data', (chunk) => {
    stderr += chunk
  })
  const [code] = await once(child, 'close')
  return { code, stdout, stderr }
}

async function* said(child: ChildProcessWithoutNullStreams): AsyncGenerator<FromAgent> {
  for await (const line of createInterface({ input: child.stdout })) yield fromAgentSchema.parse(JSON.parse(line))
}

test('each sample agent is a valid request', () => {
  for (const agent of [echo, shell, counter]) expect(createAgentSchema.parse(agent)).toEqual(agent)
})

test.for(['hello', 'two\nlines', `quotes ' " \\ $HOME`, '', 'ünïcödé 🎉', 'x'.repeat(300_000)])(
  'echo prints the message as it is (%#)',
  async (message) => {
    expect(await outcome(run(echo, message))).toEqual({ code: 0, stdout: `${message}\n`, stderr: '' })
  },
)

test('shell runs the message in the session’s folder and ends with its exit code', async () => {
  const result = await outcome(run(shell, 'echo out; echo err >&2; cat; printf kept >file; [[ -t 0 ]] || exit 7'))
  expect(result).toEqual({ code: 7, stdout: 'out\n', stderr: 'err\n' })
  expect(readFileSync(join(folder, 'workspace', 'file'), 'utf8')).toBe('kept')
})

test('counter speaks the protocol and snapshots each step', async () => {
  const messages = await Array.fromAsync(said(run(counter, '{"to":2,"step_ms":1}')))
  expect(messages).toEqual([
    { type: 'delta', text: '1 ' },
    { type: 'progress', percent: 50, text: '1 of 2' },
    { type: 'snapshot', state: { count: 1 } },
    { type: 'delta', text: '2 ' },
    { type: 'progress', percent: 100, text: '2 of 2' },
    { type: 'snapshot', state: { count: 2 } },
    { type: 'message', text: 'counted to 2' },
    { type: 'usage', provider: 'sample', model: 'counter', input_tokens: 0, output_tokens: 2, cost_usd: 0 },
    { type: 'result', output: { count: 2 } },
  ])
})

test('counter goes on from its snapshot, and counts to ten when the message is no number', async () => {
  const messages = await Array.fromAsync(said(run(counter, 'please count', { count: 9 })))
  expect(messages.filter(({ type }) => type === 'delta')).toEqual([{ type: 'delta', text: '10 ' }])
  expect(messages.at(-1)).toEqual({ type: 'result', output: { count: 10 } })
})

test('counter stops at once when cancelled, without claiming success', async () => {
  const child = run(counter, '{"to":1000000,"step_ms":1}')
  const ended = once(child, 'close')
  const types = new Set<string>()
  for await (const message of said(child)) {
    types.add(message.type)
    if (message.type === 'snapshot') tell(child, { type: 'cancel', reason: 'cancel_requested', grace_ms: 1000 })
  }
  expect(await ended).toEqual([130, null])
  expect(types).not.toContain('result')
})

test('an input moves the counter’s end and is consumed', async () => {
  const child = run(counter, '{"to":1000000,"step_ms":1}')
  const messages: FromAgent[] = []
  for await (const message of said(child)) {
    messages.push(message)
    if (message.type === 'snapshot' && messages.length === 3)
      tell(child, { type: 'input', id: 'inp_1', mode: 'steer', message: '1' })
  }
  expect(messages).toContainEqual({ type: 'input_consumed', id: 'inp_1' })
  expect(messages.at(-1)?.type).toBe('result')
})
