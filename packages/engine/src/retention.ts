import { type RemovalPage, removeClasses, removeLeftovers, removeSessions, removeTasks } from '@muster/store'
import type { EngineContext } from './engine-context.ts'

const PAGE = 200
const ROWS = 2000
/** A turn ends with the step during which this is over. */
const TURN_MS = 250
const WALKS = {
  tasks: { remove: removeTasks, next: 'sessions' },
  sessions: { remove: removeSessions, next: 'classes' },
  classes: { remove: removeClasses, next: 'tasks' },
} as const

/** Removes finished work that is older than it is kept. */
export type Retention = {
  /** A turn: removes for a bounded time, and looks at one page at most in which nothing is to be removed. */
  turn(): Promise<void>
}

/**
 * Walks through old tasks, old sessions and execution classes, and again, a page at a time. What a removed run left behind goes first, so
 * that little of it ever waits. Nothing is kept here but the place: another process, or this one after a restart, begins at the start.
 */
export function createRetention({ database }: EngineContext, days: number): Retention {
  const { pool } = database
  let walk: keyof typeof WALKS = 'tasks'
  let after = ''

  /** Whether there may be more to remove right now. */
  async function step(): Promise<boolean> {
    const leftovers = await removeLeftovers(pool, ROWS)
    if (leftovers === null || leftovers > 0) return leftovers !== null
    const page: RemovalPage = { after, days, limit: PAGE }
    const found = await WALKS[walk].remove(pool, page)
    if (found === null) return false
    after = found.next ?? ''
    if (found.next === null) walk = WALKS[walk].next
    return found.removed > 0
  }

  return {
    async turn() {
      if (days === 0) return
      const until = performance.now() + TURN_MS
      while ((await step()) && performance.now() < until);
    },
  }
}
