import { AppError } from '@muster/core'
import type { AcceptItem, AcceptVerdict } from '@muster/store'
import type { Accepted, AcceptRequest } from './accept.ts'

type InOrderParts = {
  /** Commands in one statement at most. */
  readonly max: number
  /** How often a command may find that its agent has changed meanwhile. */
  readonly pins: number
  readonly prepare: (request: AcceptRequest) => Promise<AcceptItem>
  readonly commit: (items: readonly AcceptItem[]) => Promise<readonly PromiseSettledResult<AcceptVerdict>[]>
  /** Throws where the verdict is a refusal. */
  readonly answer: (item: AcceptItem, verdict: AcceptVerdict) => Accepted
  /** What was known of the request's agent is no longer true. */
  readonly forget: (request: AcceptRequest) => void
  /** Whether it was refused by what was remembered of its agent, and that is forgotten now. */
  readonly isDoubtful: (request: AcceptRequest, verdict: PromiseSettledResult<AcceptVerdict>) => boolean
}

type Decided = PromiseSettledResult<Accepted>
type Open = { readonly index: number; readonly request: AcceptRequest }
type Ready = Open & { readonly item: AcceptItem }

/**
 * Commits many commands by few statements, one after the other, so that their order holds; the outcome of each, in order. Once the
 * database cannot be reached the rest is refused as well.
 */
export async function acceptInOrder(
  requests: readonly AcceptRequest[],
  parts: InOrderParts,
): Promise<readonly Decided[]> {
  const { max, pins, forget } = parts
  const decided = new Map<number, Decided>()
  let outage: unknown
  for (const together of sentTogether(requests, max)) {
    let open = together
    for (let pin = 0; pin < pins && open.length > 0 && outage === undefined; pin++) {
      const ready = await prepareAll(open, parts, decided)
      const behind = behindTheirAgent(ready)
      open = behind.length > 0 ? ready : await commitAll(ready, parts, decided)
      for (const { request } of behind.length > 0 ? behind : open) forget(request)
      outage = outageOf(decided)
    }
    for (const { index } of open) decided.set(index, refused(outage ?? unpinned()))
  }
  return requests.map((_, index) => decided.get(index) ?? refused(new Error('a command was not decided')))
}

/** Neighbours, no idempotency key twice: what becomes of a command depends on whether one before it has taken its key. */
function sentTogether(requests: readonly AcceptRequest[], max: number): readonly (readonly Open[])[] {
  const groups: Open[][] = []
  const keys = new Set<string>()
  for (const [index, request] of requests.entries()) {
    const key = request.idempotencyKey
    let group = groups.at(-1)
    if (group === undefined || group.length === max || (key !== null && keys.has(key))) {
      group = []
      groups.push(group)
      keys.clear()
    }
    if (key !== null) keys.add(key)
    group.push({ index, request })
  }
  return groups
}

/** What kept a command from being written: those behind it are not tried, so that none overtakes it in its session. */
function outageOf(decided: ReadonlyMap<number, Decided>): unknown {
  for (const one of decided.values())
    if (one.status === 'rejected' && one.reason instanceof AppError && one.reason.code === 'unavailable')
      return one.reason
  return undefined
}

export const unpinned = (): AppError =>
  new AppError('unavailable', 'the agent changes too fast to be pinned', { retryAfterMs: 1000 })

/** The agent is not what it was when the command was prepared; one that is gone may have been made anew under its key. */
export const isStale = ({ outcome }: AcceptVerdict): boolean =>
  outcome === 'agent_stale' || outcome === 'agent_not_found'

const refused = (reason: unknown): Decided => ({ status: 'rejected', reason })

async function prepareAll(
  open: readonly Open[],
  { prepare }: InOrderParts,
  decided: Map<number, Decided>,
): Promise<readonly Ready[]> {
  const prepared = await Promise.allSettled(open.map(async (one) => ({ ...one, item: await prepare(one.request) })))
  return prepared.flatMap((result, order) => {
    if (result.status === 'fulfilled') return [result.value]
    const { index } = open[order] ?? {}
    if (index !== undefined) decided.set(index, result)
    return []
  })
}

/** An agent's commands are pinned to one version together, else one that is sent again would lose its place in a session. */
function behindTheirAgent(ready: readonly Ready[]): readonly Ready[] {
  const newest = new Map<string, number>()
  for (const { item } of ready)
    newest.set(item.agent_id, Math.max(item.agent_version, newest.get(item.agent_id) ?? item.agent_version))
  return ready.filter(({ item }) => item.agent_version !== newest.get(item.agent_id))
}

/** Sends what is ready; answers what has to be prepared anew. */
async function commitAll(
  ready: readonly Ready[],
  { commit, answer, isDoubtful }: InOrderParts,
  decided: Map<number, Decided>,
): Promise<readonly Open[]> {
  if (ready.length === 0) return []
  const [verdicts] = await Promise.allSettled([commit(ready.map(({ item }) => item))])
  const stale: Open[] = []
  for (const [order, one] of ready.entries()) {
    const verdict = verdicts.status === 'fulfilled' ? verdicts.value[order] : verdicts
    if (verdict === undefined) decided.set(one.index, refused(new Error('a command was not answered')))
    else if (isDoubtful(one.request, verdict)) stale.push(one)
    else if (verdict.status === 'rejected') decided.set(one.index, verdict)
    else if (isStale(verdict.value)) stale.push(one)
    else
      decided.set(
        one.index,
        settle(() => answer(one.item, verdict.value)),
      )
  }
  return stale
}

function settle(answer: () => Accepted): Decided {
  try {
    return { status: 'fulfilled', value: answer() }
  } catch (error) {
    return refused(error)
  }
}
