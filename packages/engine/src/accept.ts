import type { Command, ErrorCode, Run, Task } from '@muster/contracts'
import { AppError, Batcher } from '@muster/core'
import { type AcceptItem, type AcceptVerdict, acceptCommands, ensureClass, type Offer, offersOf } from '@muster/store'
import { acceptedOffer, acceptedRun, acceptedTask } from './accepted-view.ts'
import type { EngineContext } from './engine-context.ts'
import { FleetHolds } from './fleet-holds.ts'
import { offerRuns } from './offer-runs.ts'
import { type PreparedCommand, prepareCommand, type WorkspaceRef } from './prepare-command.ts'
import { AgentResolver, type ResolvedAgent } from './resolve-agent.ts'
import { settleBatch, settledValue } from './settle-batch.ts'

export type AcceptRequest = {
  readonly workspace: WorkspaceRef
  readonly command: Command
  readonly idempotencyKey: string | null
  /** The W3C trace context that the run's spans are to belong to. */
  readonly traceparent?: string | null
}

export type SessionRef = {
  readonly id: string
  readonly key: string
  readonly agent_id: string
  readonly agent_key: string
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
  /** Waits for the offers that are still on their way to the gate. */
  settled(): Promise<void>
}

const BATCH_MAX = 128
/** Commands at once in one gateway; more would only wait longer than their clients do. */
const WAITING_MAX = 10_000
const CLASSES_KEPT_MAX = 100_000

export function createAcceptor(context: EngineContext): Acceptor {
  const agents = new AgentResolver(context.database)
  const holds = new FleetHolds(context.database.pool)
  const classes = new Set<string>()
  const batcher = new Batcher<AcceptItem, PromiseSettledResult<AcceptVerdict>>((items) => commit(context, items), {
    max: BATCH_MAX,
    lanes: 2,
    waitingMax: WAITING_MAX,
    apart: (item) =>
      item.idempotency_key === null ? null : JSON.stringify([item.workspace_id, item.agent_id, item.idempotency_key]),
  })
  const offerer = new Batcher<Offer, boolean>(
    async (offers) => {
      const offered = await offerRuns(context, offers)
      return offers.map(() => offered)
    },
    { max: 500 },
  )
  const underway = new Set<Promise<unknown>>()

  function offer(offers: readonly Offer[]): void {
    for (const each of offers) {
      const sent = offerer
        .add(each)
        .catch((error: unknown) => context.log.warn({ err: error, run_id: each.runId }, 'an offer failed'))
        .finally(() => underway.delete(sent))
      underway.add(sent)
    }
  }

  /** Tells what becomes of a command, and how long that took. */
  async function accept(request: AcceptRequest): Promise<Accepted> {
    const begun = performance.now()
    let outcome: Accepted['outcome'] | ErrorCode = 'internal_error'
    try {
      const answered = await decide(request)
      outcome = answered.outcome
      return answered
    } catch (error) {
      if (error instanceof AppError) outcome = error.code
      throw error
    } finally {
      const seconds = (performance.now() - begun) / 1000
      const { workspace, command } = request
      context.report?.accepted?.({ outcome, seconds, workspaceId: workspace.id, agentKey: command.agent })
    }
  }

  async function decide(request: AcceptRequest): Promise<Accepted> {
    const { workspace, command, idempotencyKey, traceparent = null } = request
    for (let resolved = 0; resolved < 3; resolved++) {
      const agent = await agents.resolve(workspace.id, command.agent)
      const prepared = await prepareCommand(workspace, agent, command, idempotencyKey, holds)
      await knowClass(prepared, agent)
      const item = traceparent === null ? prepared.item : { ...prepared.item, traceparent }
      const verdict = settledValue(await batcher.add(item))
      // an agent that is gone may have been made anew under its key
      if (verdict.outcome !== 'agent_stale' && verdict.outcome !== 'agent_not_found')
        return answer(prepared.item, verdict)
      agents.forget(workspace.id, command.agent)
    }
    throw new AppError('unavailable', 'the agent changes too fast to be pinned', { retryAfterMs: 1000 })
  }

  async function knowClass({ item, classPolicy }: PreparedCommand, agent: ResolvedAgent): Promise<void> {
    if (classes.has(item.class_key)) return
    await ensureClass(context.database, {
      key: item.class_key,
      workspaceId: item.workspace_id,
      agentId: agent.id,
      agentKey: agent.key,
      lane: item.lane,
      pool: item.pool,
      policy: classPolicy,
    })
    if (classes.size >= CLASSES_KEPT_MAX) classes.clear()
    classes.add(item.class_key)
  }

  function answer(item: AcceptItem, verdict: AcceptVerdict): Accepted {
    switch (verdict.outcome) {
      case 'accepted': {
        const first = acceptedOffer(item, verdict)
        if (first !== null) offer([first])
        return acceptedAnswer(item, verdict)
      }
      case 'repeated': {
        // The first try was committed and its answer lost: whether it was offered is unknown, so it is offered again.
        const again = offersOf(context.database.pool, [verdict.run_id])
          .then(offer)
          .catch(() => undefined)
          .finally(() => underway.delete(again))
        underway.add(again)
        return acceptedAnswer(item, verdict)
      }
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
    async settled() {
      // an offer may be looked up first, and is then one more
      while (underway.size > 0) await Promise.allSettled(underway)
    },
  }
}

function acceptedAnswer(item: AcceptItem, verdict: AcceptVerdict): Accepted {
  const session =
    verdict.session_id === null || verdict.session_key === null
      ? null
      : { id: verdict.session_id, key: verdict.session_key, agent_id: item.agent_id, agent_key: item.agent_key }
  return { outcome: 'accepted', task: acceptedTask(item, verdict), run: acceptedRun(item, verdict), session }
}

/**
 * Commits a batch; after a lost connection again, with the same ids, since the first try may have been committed. It may even be under
 * way still: then the second waits for it and is refused for its ids, and the third reads what is there.
 */
function commit(
  context: EngineContext,
  batch: readonly AcceptItem[],
): Promise<readonly PromiseSettledResult<AcceptVerdict>[]> {
  const send = (items: readonly AcceptItem[]) => acceptCommands(context.database.pool, items)
  return settleBatch(batch, async (items) => {
    try {
      return await send(items)
    } catch (error) {
      if (!(error instanceof AppError)) throw error
    }
    try {
      return await send(items)
    } catch (error) {
      if (error instanceof AppError) throw error
      return send(items)
    }
  })
}
