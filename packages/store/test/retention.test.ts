import { DEFAULT_POLICY } from '@muster/contracts'
import { classPolicyOf, newId } from '@muster/core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { firstIdAt } from '../src/first-id-at.ts'
import {
  type AcceptItem,
  acceptCommands,
  auditStore,
  ensureClasses,
  forgetFolders,
  makeDue,
  patchClass,
  type RemovalPage,
  removeClasses,
  removedFolders,
  removeLeftovers,
  removeSessions,
  removeTasks,
  requeueTask,
} from '../src/index.ts'
import { failed, openRoad, type Road, succeeded } from './road-fixture.ts'

let road: Road
beforeAll(async () => {
  road = await openRoad()
})
afterAll(() => road.close())

const OLD = new Date(Date.now() - 40 * 86_400_000)
const PAGE: RemovalPage = { after: '', days: 30, limit: 1000 }

/** An id as it was made forty days ago. */
const oldId = (kind: 'task' | 'run' | 'session'): string => firstIdAt(kind, OLD).slice(0, -16) + newId(kind).slice(-16)

const oldItem = (fields: Partial<AcceptItem> = {}): Partial<AcceptItem> => ({
  task_id: oldId('task'),
  run_id: oldId('run'),
  max_attempts: 1,
  ...fields,
  ...(fields.session_key === undefined ? {} : { new_session_id: oldId('session') }),
})

/** Makes everything that is in the database look forty days older. */
async function age(): Promise<void> {
  for (const set of [
    `tasks SET updated_at = updated_at - interval '40 days', created_at = created_at - interval '40 days'`,
    `classes SET seen_at = seen_at - interval '40 days'`,
    `sessions SET last_active_at = last_active_at - interval '40 days', created_at = created_at - interval '40 days'`,
  ])
    await road.database.pool.query(`UPDATE ${set}`)
}

async function ended(outcome = succeeded, fields: Partial<AcceptItem> = {}) {
  const verdict = await road.acceptOne(oldItem(fields))
  await road.end(await road.held(await road.node(), verdict.run_id), outcome)
  return verdict
}

/** Removes all that may go; answers how many tasks did. */
async function removeAll(): Promise<number> {
  const { pool } = road.database
  const removed = (await removeTasks(pool, PAGE))?.removed ?? -1
  while (((await removeLeftovers(pool, 100)) ?? 0) > 0);
  return removed
}

/** Every row of every table that names a run, task or session which is not there. */
async function strays(): Promise<string[]> {
  const { pool } = road.database
  const { rows } = await pool.query(
    `SELECT table_name, column_name FROM information_schema.columns
     WHERE table_schema = 'public' AND column_name IN ('run_id', 'task_id', 'session_id', 'current_run_id')`,
  )
  const found: string[] = []
  for (const { table_name: table, column_name: column } of rows) {
    const target = `${column.replace('current_', '').replace('_id', '')}s`
    const { rows: missing } = await pool.query(
      `SELECT ${column} AS id FROM ${table} WHERE ${column} IS NOT NULL AND ${column} NOT IN (SELECT id FROM ${target})`,
    )
    found.push(...missing.map(({ id }) => `${table}.${column} ${id}`))
  }
  return found
}

const exists = async (table: 'tasks' | 'runs' | 'sessions', id: string): Promise<boolean> =>
  (await road.database.pool.query(`SELECT FROM ${table} WHERE id = $1`, [id])).rowCount === 1

describe('tasks', () => {
  test('one that ended long ago goes whole, with every run and all that belongs to them', async () => {
    const once = await ended(succeeded, { idempotency_key: 'again' })
    const twice = await ended(failed)
    const second = oldId('run')
    await requeueTask(road.database.pool, twice.task_id, second)
    await road.end(await road.held(await road.node(), second), failed)
    await age()
    expect(await removeAll()).toBe(2)
    for (const id of [once.task_id, twice.task_id]) expect(await exists('tasks', id)).toBe(false)
    for (const id of [once.run_id, twice.run_id, second]) expect(await exists('runs', id)).toBe(false)
    expect(await strays()).toEqual([])
    expect(await auditStore(road.database.pool)).toEqual([])
    // the key went with its task
    const anew = await road.acceptOne({ idempotency_key: 'again', fingerprint: 'cd'.repeat(32) })
    expect(anew.outcome).toBe('accepted')
    await road.end(await road.held(await road.node(), anew.run_id), succeeded)
  })

  test('what has work, or ended lately, is never touched', async () => {
    const queued = await road.acceptOne(oldItem())
    const later = await road.acceptOne(oldItem({ delay_ms: 86_400_000 }))
    const running = await road.acceptOne(oldItem())
    const run = await road.held(await road.node(), running.run_id)
    const requeued = await ended(failed)
    await requeueTask(road.database.pool, requeued.task_id, oldId('run'))
    await age()
    const lately = await ended()
    expect(await removeAll()).toBe(0)
    for (const { task_id } of [queued, later, running, requeued, lately])
      expect(await exists('tasks', task_id)).toBe(true)
    expect((await road.end(run, succeeded)).moved).toHaveLength(1)
  })

  test('a removal that is cut short is gone on with, and a long log goes by parts', async () => {
    const { task_id, run_id } = await ended()
    await road.database.pool.query(
      `INSERT INTO noted_events (run_id, seq, type, data) SELECT $1, n, 'agent.delta', '{}' FROM generate_series(4, 300) n`,
      [run_id],
    )
    await age()
    expect((await removeTasks(road.database.pool, PAGE))?.removed).toBeGreaterThan(0)
    expect(await exists('tasks', task_id)).toBe(false)
    const parts: (number | null)[] = []
    do parts.push(await removeLeftovers(road.database.pool, 100))
    while ((parts.at(-1) ?? 0) > 0)
    expect(parts.length).toBeGreaterThan(3)
    expect(await strays()).toEqual([])
  })

  test('a log goes whole, also where it has holes: the events that say that an attempt began are told by the attempts', async () => {
    const { run_id } = await ended()
    await road.database.pool.query(
      `INSERT INTO noted_events (run_id, seq, type, data) SELECT $1, n, 'agent.delta', '{}' FROM generate_series(4, 300) n WHERE n <> 150`,
      [run_id],
    )
    await age()
    expect(await removeAll()).toBeGreaterThan(0)
    expect(await strays()).toEqual([])
  })

  test('pages go on after what stays', async () => {
    const kept = await Promise.all([1, 2, 3].map(() => road.acceptOne(oldItem({ delay_ms: 86_400_000 }))))
    const gone = await Promise.all([1, 2, 3].map(() => ended()))
    await age()
    let removed = 0
    let after: string | null = ''
    let pages = 0
    while (after !== null) {
      const page: Awaited<ReturnType<typeof removeTasks>> = await removeTasks(road.database.pool, {
        ...PAGE,
        after,
        limit: 2,
      })
      if (page === null) throw new Error('another process is at it')
      removed += page.removed
      after = page.next
      pages++
    }
    expect([removed, pages > 3]).toEqual([3, true])
    await removeAll()
    for (const { task_id } of kept) expect(await exists('tasks', task_id)).toBe(true)
    for (const { task_id } of gone) expect(await exists('tasks', task_id)).toBe(false)
  })

  test('one process removes at a time; another hears so at once', async () => {
    const other = await road.database.pool.connect()
    try {
      await other.query('BEGIN')
      await other.query('SELECT begin_removal()')
      expect(await removeTasks(road.database.pool, PAGE)).toBeNull()
      expect(await removeSessions(road.database.pool, PAGE)).toBeNull()
      expect(await removeLeftovers(road.database.pool, 1)).toBeNull()
    } finally {
      await other.query('ROLLBACK')
      other.release()
    }
    expect(await removeTasks(road.database.pool, PAGE)).not.toBeNull()
  })

  test('a dead letter that is requeued in the same moment stays', async () => {
    const { task_id } = await ended(failed)
    await age()
    const other = await road.database.pool.connect()
    try {
      await other.query('BEGIN')
      const requeued = await requeueTask(other, task_id, oldId('run'))
      expect(requeued.outcome).toBe('requeued')
      const removing = removeTasks(road.database.pool, PAGE)
      await waiting('remove_tasks(')
      await other.query('COMMIT')
      expect((await removing)?.removed).toBe(0)
    } finally {
      other.release()
    }
    expect(await exists('tasks', task_id)).toBe(true)
    await road.database.pool.query(`SELECT cancel_run(run_id, 'cancelled', 'x') FROM tasks WHERE id = $1`, [task_id])
  })

  test('a run that lost its worker leaves its folder to be deleted; one that ended well took it along', async () => {
    await forgetFolders(road.database.pool, await removedFolders(road.database.pool, '', 1000))
    const bad = await ended(failed)
    await ended(succeeded)
    await age()
    await removeAll()
    expect(await removedFolders(road.database.pool, '', 10)).toContain(bad.run_id)
    await forgetFolders(road.database.pool, [bad.run_id])
    expect(await removedFolders(road.database.pool, '', 10)).not.toContain(bad.run_id)
  })
})

/** Until a statement with this text waits for a lock. */
async function waiting(text: string): Promise<void> {
  await expect
    .poll(async () => {
      const { rows } = await road.database.pool.query(
        `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%' || $1 || '%'`,
        [text],
      )
      return rows.length
    })
    .toBe(1)
}

describe('sessions', () => {
  const removeOld = async () => (await removeSessions(road.database.pool, PAGE))?.removed

  test('one goes when its last task has, and its folder is to be deleted', async () => {
    const { session_id } = await ended(succeeded, { session_key: 'gone' })
    const id = session_id ?? ''
    await age()
    expect(await removeOld()).toBe(0)
    await removeAll()
    expect(await removeOld()).toBe(1)
    expect(await exists('sessions', id)).toBe(false)
    expect(await removedFolders(road.database.pool, '', 1000)).toContain(id)
    expect(await strays()).toEqual([])
    const anew = await road.acceptOne({ session_key: 'gone' })
    expect(anew).toMatchObject({ outcome: 'accepted', offerable: true })
    expect(anew.session_id).not.toBe(id)
  })

  test('one that names a run, waits for a scheduled one or was used lately stays', async () => {
    const named = await road.acceptOne(oldItem({ session_key: 'named' }))
    const scheduled = await road.acceptOne(oldItem({ session_key: 'scheduled', delay_ms: 3_600_000 }))
    await age()
    const lately = await ended(succeeded, { session_key: 'lately' })
    expect(await removeOld()).toBe(0)
    for (const { session_id } of [named, scheduled, lately])
      expect(await exists('sessions', session_id ?? '')).toBe(true)
    await road.database.pool.query(`UPDATE runs SET not_before = now() WHERE id = $1`, [scheduled.run_id])
    const { offers } = await makeDue(road.database.pool, 500)
    expect(offers.map((offer) => offer.runId)).toContain(scheduled.run_id)
  })

  test('a command that met its session just before it went is told to prepare anew, and then gets a new one', async () => {
    const { session_id } = await ended(succeeded, { session_key: 'race' })
    await age()
    await removeAll()
    const other = await road.database.pool.connect()
    const item = road.item({ session_key: 'race' })
    try {
      await other.query('BEGIN')
      expect((await removeSessions(other, PAGE))?.removed).toBeGreaterThan(0)
      const accepting = acceptCommands(road.database.pool, [item])
      await waiting('accept_commands(')
      await other.query('COMMIT')
      expect(await accepting).toMatchObject([{ outcome: 'agent_stale' }])
    } finally {
      other.release()
    }
    const [again] = await acceptCommands(road.database.pool, [item])
    expect(again).toMatchObject({ outcome: 'accepted', session_key: 'race' })
    expect(again?.session_id).not.toBe(session_id)
  })

  test('a command that has just come keeps its session', async () => {
    await ended(succeeded, { session_key: 'kept' })
    await age()
    await removeAll()
    const other = await road.database.pool.connect()
    try {
      await other.query('BEGIN')
      const [accepted] = await acceptCommands(other, [road.item({ session_key: 'kept' })])
      expect(await removeOld()).toBe(0)
      await other.query('COMMIT')
      expect(await exists('sessions', accepted?.session_id ?? '')).toBe(true)
    } finally {
      other.release()
    }
  })
})

describe('an execution class', () => {
  const made = (lane: string) => ({
    key: `cls_${lane}`,
    workspace_id: road.workspaceId,
    agent_id: road.agentId,
    agent_key: 'echo',
    lane,
    pool: 'none' as const,
    policy: classPolicyOf(DEFAULT_POLICY),
  })
  const inLane = (lane: string) => ({ lane, class_key: `cls_${lane}`, job_name: `acme/echo/${lane}` })
  const known = async () => {
    const { rows } = await road.database.pool.query<{ lane: string }>('SELECT lane FROM classes ORDER BY lane')
    return rows.map(({ lane }) => lane)
  }

  test('to which nothing was sent for long goes, unless it has settings or its lane a run', async () => {
    const lanes = ['empty', 'ended', 'held', 'lately', 'limited', 'queued']
    await ensureClasses(road.database, lanes.map(made))
    await ended(succeeded, inLane('ended'))
    await road.acceptOne(inLane('queued'))
    const held = await road.acceptOne(inLane('held'))
    await road.held(await road.node(), held.run_id)
    await patchClass(road.database, road.workspaceId, 'cls_limited', { limit: 3 })
    await age()
    await ensureClasses(road.database, [made('lately')])
    expect(await removeClasses(road.database.pool, PAGE)).toEqual({ removed: 1, next: null })
    expect(await known()).toEqual(lanes.filter((lane) => lane !== 'empty'))
    await removeAll()
    expect((await removeClasses(road.database.pool, PAGE))?.removed).toBe(1)
    expect(await known()).toEqual(['held', 'lately', 'limited', 'queued'])
  })

  test('is known again to whoever makes it known while it goes', async () => {
    await ensureClasses(road.database, [made('going')])
    await age()
    const other = await road.database.pool.connect()
    try {
      await other.query('BEGIN')
      expect((await removeClasses(other, PAGE))?.removed).toBeGreaterThan(0)
      const again = ensureClasses(road.database, [made('going')])
      await waiting('INSERT INTO classes')
      await other.query('COMMIT')
      await again
    } finally {
      other.release()
    }
    expect(await known()).toContain('going')
  })

  test('is looked for by the index of lanes', async () => {
    const client = await road.database.pool.connect()
    try {
      await client.query('SET enable_seqscan = off')
      const { rows } = await client.query(
        `EXPLAIN SELECT FROM classes c WHERE NOT EXISTS (SELECT FROM workspaces w JOIN runs r ON r.job_name = w.key || '/' || c.agent_key || '/' || c.lane
         WHERE w.id = c.workspace_id AND r.status IN ('queued', 'succeeded', 'failed', 'timed_out', 'cancelled'))`,
      )
      expect(rows.map((row) => row['QUERY PLAN']).join('\n')).toMatch(/Index Cond: \(\(status = ANY.*job_name = /)
    } finally {
      client.release(true)
    }
  })
})
