// Counts, and speaks the whole agent protocol: JSON Lines on standard input and output.
// The message is a number to count to (10 unless told), or JSON: {"to": 10, "step_ms": 200}.
// Each step ends with a snapshot, so a later attempt goes on where this one was cut off.
import { createInterface } from 'node:readline'

const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`)

let to = 10
let stepMs = 200
let count = 0

for await (const line of createInterface({ input: process.stdin })) {
  const message = JSON.parse(line)
  if (message.type === 'start') begin(message)
  else if (message.type === 'input') takeInput(message)
  else if (message.type === 'cancel') stop(message)
}

function begin(start) {
  const wish = readWish(start.message)
  to = wish.to
  stepMs = wish.stepMs
  count = start.state?.count ?? 0
  if (count > 0) say({ type: 'log', text: `going on from ${count}` })
  setTimeout(step, stepMs)
}

function readWish(message) {
  let wish
  try {
    wish = JSON.parse(message)
  } catch {
    wish = {}
  }
  if (typeof wish === 'number') wish = { to: wish }
  return { to: Number.isInteger(wish?.to) ? wish.to : 10, stepMs: Number.isInteger(wish?.step_ms) ? wish.step_ms : 200 }
}

function step() {
  if (count >= to) return finish()
  count++
  say({ type: 'delta', text: `${count} ` })
  say({ type: 'progress', percent: Math.round((100 * count) / to), text: `${count} of ${to}` })
  say({ type: 'snapshot', state: { count } })
  setTimeout(step, stepMs)
}

function finish() {
  say({ type: 'message', text: `counted to ${count}` })
  say({ type: 'usage', provider: 'sample', model: 'counter', input_tokens: 0, output_tokens: count, cost_usd: 0 })
  process.stdout.write(`${JSON.stringify({ type: 'result', output: { count } })}\n`, () => process.exit(0))
}

/** A number sent while counting moves the end. */
function takeInput(input) {
  const wished = Number(input.message)
  if (Number.isInteger(wished)) to = wished
  say({ type: 'input_consumed', id: input.id })
}

/** Whatever counts is in the last snapshot already, so there is nothing to save. The exit code says that the work was not done. */
function stop(cancel) {
  process.stdout.write(`${JSON.stringify({ type: 'log', text: `stopped at ${count}: ${cancel.reason}` })}\n`, () =>
    process.exit(130),
  )
}
