import type { EngineContext } from './engine-context.ts'

/** Does what follows a commit in the gate. It may fail without harm to the caller, whose wish is durable: the reconciler makes up for it. */
export async function afterCommit(context: EngineContext, work: () => Promise<unknown>): Promise<void> {
  try {
    await work()
  } catch (error) {
    context.log.error({ err: error }, 'what follows a commit failed; the reconciler makes up for it')
  }
}
