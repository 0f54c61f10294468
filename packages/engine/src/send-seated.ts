import { AppError } from '@muster/core'
import type { AcceptItem, AcceptVerdict } from '@muster/store'
import type { QueueLimits, SeatAnswer } from './queue-limits.ts'

type Verdicts = readonly PromiseSettledResult<AcceptVerdict>[]

/** When a full queue is looked at again: it is counted once a second. */
const RETRY_AFTER_MS = 1000

/** Commits those that find room in their queues; the others are refused as `queue_full`. The outcome of each, in order. */
export async function sendSeated(
  items: readonly AcceptItem[],
  queues: QueueLimits | null,
  commit: (items: readonly AcceptItem[]) => Promise<Verdicts>,
): Promise<Verdicts> {
  if (queues === null || queues.areUnlimited) return commit(items)
  const answers = await queues.take(
    items.map((item) => ({
      workspaceId: item.workspace_id,
      agentId: item.agent_id,
      idempotencyKey: item.idempotency_key,
    })),
  )
  const seated = items.filter((_, index) => answers[index]?.outcome === 'seated')
  let verdicts: Verdicts = []
  try {
    if (seated.length > 0) verdicts = await commit(seated)
  } finally {
    settleSeats(answers, verdicts)
  }
  const left = verdicts[Symbol.iterator]()
  return answers.map((answer): PromiseSettledResult<AcceptVerdict> => {
    if (answer.outcome === 'full') return { status: 'rejected', reason: queueFull(answer) }
    return left.next().value ?? { status: 'rejected', reason: new Error('a command was not answered') }
  })
}

function settleSeats(answers: readonly SeatAnswer[], verdicts: Verdicts): void {
  const seats = answers.flatMap((answer) => (answer.outcome === 'seated' ? [answer.seat] : []))
  for (const [order, seat] of seats.entries()) {
    const verdict = verdicts[order]
    const outcome = verdict?.status === 'fulfilled' ? verdict.value.outcome : null
    if (outcome === 'accepted' || outcome === 'repeated') seat.keep()
    else seat.giveBack()
  }
}

const queueFull = ({ queue, max }: Extract<SeatAnswer, { outcome: 'full' }>): AppError =>
  new AppError('queue_full', `the queue of this ${queue} is full: its limits.max_waiting is ${max}`, {
    retryAfterMs: RETRY_AFTER_MS,
    limit: max,
  })
