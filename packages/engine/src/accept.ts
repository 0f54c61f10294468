import type { Command, ErrorCode, Run, Task } from '@muster/contracts'
import { AppError, Batcher, classPolicyOf } from '@muster/core'
import {
  type AcceptItem,
  type AcceptVerdict,
  acceptCommands,
  ensureClasses,
  knownKeys,
  type NewClass,
  type SessionRef,
} from '@muster/store'
import { acceptInOrder, isStale, unpinned } from './accept-in-order.ts'
import { AcceptedOffers } from './accepted-offers.ts'
import { acceptedView } from './accepted-view.ts'
import type { EngineContext } from './engine-context.ts'
import { FleetHolds } from './fleet-holds.ts'
import { KnownClasses } from './known-classes.ts'
import { prepareCommand, type WorkspaceRef } from './prepare-command.ts'
import type { QueueLimits } from './queue-limits.ts'
import { AgentResolver } from './resolve-agent.ts'
import { sendSeated } from './send-seated.ts'
import { settleBatch, settledValue } from './settle-batch.ts'

export type AcceptRequest = {
  readonly workspace: WorkspaceRef
  readonly command: Command
  readonly idempotencyKey: string | null
  /** The W3C trace context that the run's spans are to belong to. */
  readonly traceparent?: string | null
}

export type Accepted =
  | { readonly outcome: 'accepted'; readonly task: Task; readonly run: Run; readonly session: SessionRef | null }
  | {
      readonly outcome: 'deduplicated'
      readonly taskId: string
      readonly runId: string
      readonly sessionId: string | null
    }

/** Accepts commands: durable before it answers, and never waiting for Redis. */
export type Acceptor = {
  /** Throws an `AppError` that says why the command is refused; then nothing was changed. */
  accept(request: AcceptRequest): Promise<Accepted>
  /**
   * Accepts many, each by itself: a refusal of one changes nothing for the others. Those of one session keep their order, and of two with
   * one idempotency key the second is a repeat of the first, or a conflict.
   */
  acceptAll(requests: readonly AcceptRequest[]): Promise<readonly PromiseSettledResult<Accepted>[]>
  /** Waits for the offers that are still on their way to the gate. */
  settled(): Promise<void>
}

const BATCH_MAX = 128
/** About what a commit takes where the disk is well. */
const OVERTAKE_MS = 3
/** Commands at once in one gateway; more would only wait longer than their clients do. */
const WAITING_MAX = 10_000
/** Statements of requests with many commands that wait, each of up to `BATCH_MAX` commands. */
const WAITING_MANY_MAX = 100
/** How often an agent may change between being read and being pinned. */
const PINS_MAX = 3

/** `queues`: bounds what waits; without it nothing does. */
export function createAcceptor(context: EngineContext, queues: QueueLimits | null = null): Acceptor {
  const agents = new AgentResolver(context.database)
  const bounds = { holds: new FleetHolds(context.database.pool), ceilings: context.ceilings }
  const classes = new KnownClasses()
  const batcher = new Batcher<AcceptItem, Settled>(commitAndOffer, {
    max: BATCH_MAX,
    lanes: 2,
    overtakeMs: OVERTAKE_MS,
    waitingMax: WAITING_MAX,
    apart: (item) =>
      item.idempotency_key === null ? null : JSON.stringify([item.workspace_id, item.agent_id, item.idempotency_key]),
  })
  // Two at a time, beside single commands: a request with many keeps its order by sending one statement after the other.
  const many = new Batcher<readonly AcceptItem[], readonly Settled[]>(
    (batches) => Promise.all(batches.map(commitAndOffer)),
    { max: 1, lanes: 2, waitingMax: WAITING_MANY_MAX },
  )
  const classer = new Batcher<AcceptItem, string>((items) => knowClasses(items), { max: 500 })
  const offers = new AcceptedOffers(context)

  async function commitAndOffer(items: readonly AcceptItem[]): Promise<readonly Settled[]> {
    const settled = await commit(context, items)
    offers.add(items, settled)
    return settled
  }

  async function accept(request: AcceptRequest): Promise<Accepted> {
    const begun = performance.now()
    try {
      const accepted = await decide(request)
      report(request, accepted.outcome, begun)
      return accepted
    } catch (error) {
      report(request, refusalOf(error), begun)
      throw error
    }
  }

  async function acceptAll(requests: readonly AcceptRequest[]): Promise<readonly PromiseSettledResult<Accepted>[]> {
    const begun = performance.now()
    const decided = await acceptInOrder(requests, {
      max: BATCH_MAX,
      pins: PINS_MAX,
      prepare,
      commit: (items) => sendSeated(items, queues, commitMany),
      answer,
      forget: ({ workspace, command }) => agents.forget(workspace.id, command.agent),
      isDoubtful,
    })
    for (const [index, request] of requests.entries()) {
      const one = decided[index]
      report(request, one?.status === 'fulfilled' ? one.value.outcome : refusalOf(one?.reason), begun)
    }
    return decided
  }

  /** Tells what became of a command, and how long that took. */
  function report({ workspace, command }: AcceptRequest, outcome: Outcome, begun: number): void {
    const seconds = (performance.now() - begun) / 1000
    const agentKey = agents.keyOf(workspace.id, command.agent)
    context.report?.accepted?.({ outcome, seconds, workspaceId: workspace.id, agentKey })
  }

  async function decide(request: AcceptRequest): Promise<Accepted> {
    for (let pinned = 0; pinned < PINS_MAX; pinned++) {
      const item = await prepare(request)
      const sent = await sendOne(item)
      if (isDoubtful(request, sent)) continue
      const verdict = settledValue(sent)
      if (!isStale(verdict)) return answer(item, verdict)
      agents.forget(request.workspace.id, request.command.agent)
    }
    throw unpinned()
  }

  /** A full queue is found before any statement compares the agent's version: one that is remembered may be another by now. */
  function isDoubtful({ workspace, command }: AcceptRequest, sent: Settled): boolean {
    return isQueueFull(sent) && agents.doubt(workspace.id, command.agent)
  }

  async function prepare({
    workspace,
    command,
    idempotencyKey,
    traceparent = null,
  }: AcceptRequest): Promise<AcceptItem> {
    const prepareOnce = async () =>
      prepareCommand(workspace, await agents.resolve(workspace.id, command.agent), command, idempotencyKey, bounds)
    let { item, refusal } = await prepareOnce()
    if (refusal !== null && agents.doubt(workspace.id, command.agent)) ({ item, refusal } = await prepareOnce())
    if (refusal !== null && !(await isRepeat(item))) throw refusal
    return traceparent === null ? item : { ...item, traceparent }
  }

  /** Whether a command was accepted before under the item's idempotency key. */
  async function isRepeat({ workspace_id, agent_id, idempotency_key }: AcceptItem): Promise<boolean> {
    if (idempotency_key === null) return false
    const place = { workspaceId: workspace_id, agentId: agent_id, idempotencyKey: idempotency_key }
    return (await knownKeys(context.database.pool, [place]))[0] === true
  }

  async function knowClasses(items: readonly AcceptItem[]): Promise<readonly string[]> {
    const made = new Map(items.map((item) => [item.class_key, newClass(item)]))
    await ensureClasses(context.database, [...made.values()])
    classes.add([...made.keys()])
    return items.map((item) => item.class_key)
  }

  /** Commits a command, once it has found room in its queues; where nobody has a limit, that is not asked. */
  function sendOne(item: AcceptItem): Promise<Settled> {
    return queues === null || queues.areUnlimited ? commitOne(item) : commitSeated(item, queues)
  }

  async function commitSeated(item: AcceptItem, limits: QueueLimits): Promise<Settled> {
    const [sent] = await sendSeated([item], limits, (seated) => Promise.all(seated.map(commitOne)))
    if (sent === undefined) throw new Error('a command was not answered')
    return sent
  }

  function commitOne(item: AcceptItem): Promise<Settled> {
    return classes.has(item.class_key) ? batcher.add(item) : classer.add(item).then(() => batcher.add(item))
  }

  async function commitMany(items: readonly AcceptItem[]): Promise<readonly Settled[]> {
    const unknown = items.filter((item) => !classes.has(item.class_key))
    if (unknown.length > 0) await Promise.all(unknown.map((item) => classer.add(item)))
    return many.add(items)
  }

  function answer(item: AcceptItem, verdict: AcceptVerdict): Accepted {
    switch (verdict.outcome) {
      case 'accepted':
      case 'repeated':
        return acceptedAnswer(item, verdict)
      case 'deduplicated':
        return {
          outcome: 'deduplicated',
          taskId: verdict.task_id,
          runId: verdict.run_id,
          sessionId: verdict.session_id,
        }
      case 'conflict':
        throw new AppError('idempotency_conflict', 'this idempotency key was used with another body')
      case 'agent_inactive':
        throw new AppError('agent_inactive', `agent ${item.agent_key} is inactive and accepts nothing`)
      case 'session_not_found':
        throw new AppError('session_not_found')
      case 'session_mismatch':
        throw new AppError('session_mismatch', `the session belongs to another agent than ${item.agent_key}`)
      default:
        throw new AppError('agent_not_found', `no agent ${item.agent_key} in this workspace`)
    }
  }

  return {
    accept,
    acceptAll,
    settled: () => offers.settled(),
  }
}

type Settled = PromiseSettledResult<AcceptVerdict>
type Outcome = Accepted['outcome'] | ErrorCode

const isQueueFull = (sent: Settled): boolean =>
  sent.status === 'rejected' && sent.reason instanceof AppError && sent.reason.code === 'queue_full'

const refusalOf = (error: unknown): ErrorCode => (error instanceof AppError ? error.code : 'internal_error')

const newClass = ({ class_key: key, workspace_id, agent_id, agent_key, lane, pool, policy }: AcceptItem): NewClass => ({
  key,
  workspace_id,
  agent_id,
  agent_key,
  lane,
  pool,
  policy: classPolicyOf(policy),
})

function acceptedAnswer(item: AcceptItem, verdict: AcceptVerdict): Accepted {
  const session =
    verdict.session_id === null || verdict.session_key === null
      ? null
      : { id: verdict.session_id, key: verdict.session_key, agent_id: item.agent_id, agent_key: item.agent_key }
  return { outcome: 'accepted', ...acceptedView(item, verdict), session }
}

/**
 * Commits a batch; after a lost connection again, with the same ids, since the first try may have been committed. It may even be under
 * way still: then the second waits for it and is refused for its ids, and the third reads what is there.
 */
function commit(context: EngineContext, batch: readonly AcceptItem[]): Promise<readonly Settled[]> {
  const send = (items: readonly AcceptItem[], sent: 'first' | 'again') =>
    acceptCommands(context.database.pool, items, { sent })
  return settleBatch(batch, async (items) => {
    try {
      return await send(items, 'first')
    } catch (error) {
      if (!(error instanceof AppError)) throw error
    }
    try {
      return await send(items, 'again')
    } catch (error) {
      if (error instanceof AppError) throw error
      return send(items, 'again')
    }
  })
}
