import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { startFleet, until } from '@muster/testkit'
import { expect, test } from 'vitest'
import { Books } from './load/books.ts'

/** Writes a line of its own into the session's folder ten times a second. */
const WRITER =
  'id=$(cat /proc/sys/kernel/random/uuid); for i in $(seq 1 300); do echo "$id $i" >> lines; echo "$i"; sleep 0.1; done'

test('a worker stopped past its beat and resumed writes nothing into the folder or the log after the next attempt began', async () => {
  await using fleet = await startFleet({ workers: 2, slots: 2 })
  const books = new Books(fleet.facts()?.database_url ?? '')
  try {
    const answer = await fleet.client.post('/v1/commands', { agent: 'shell', message: WRITER, session_key: 'shared' })
    const { run } = answer.body as { run: { id: string; session_id: string } }
    const held = () =>
      books.query<{ generation: number; pid: number; number: number }>(
        `SELECT r.generation, n.pid, r.attempt_number AS number FROM runs r JOIN nodes n ON n.id = r.node_id WHERE r.id = $1 AND r.status = 'running'`,
        run.id,
      )
    const folder = join(await sessionsRoot(fleet.home), 'sessions', run.session_id)
    const lines = async () => (await readFile(join(folder, 'lines'), 'utf8').catch(() => '')).trim().split('\n')
    const first = await until(async () => ((await lines()).length > 3 ? (await held())[0] : undefined), {
      deadlineMs: 30_000,
      what: 'the first attempt to write',
    })
    process.kill(first.pid, 'SIGSTOP')
    const second = await until(async () => (await held()).find((now) => now.number > first.number), {
      deadlineMs: 30_000,
      what: 'the next attempt',
    })
    expect(second.pid).not.toBe(first.pid)
    const [writer] = (await lines())[0]?.split(' ') ?? []
    const firstLines = async () => (await lines()).filter((line) => line.startsWith(writer ?? '?')).length
    await until(async () => ((await lines()).some((line) => !line.startsWith(writer ?? '?')) ? true : undefined), {
      deadlineMs: 30_000,
      what: 'the next attempt to write',
    })
    const written = await firstLines()
    const [{ seq: eventsBefore } = { seq: 0 }] = await books.query<{ seq: number }>(
      'SELECT max(seq) AS seq FROM events WHERE run_id = $1 AND attempt = $2',
      run.id,
      first.number,
    )
    process.kill(first.pid, 'SIGCONT')
    await until(
      async () => {
        const nodes = await books.query<{ n: number }>(
          `SELECT count(*)::integer AS n FROM nodes WHERE pid = $1 AND status = 'active'`,
          first.pid,
        )
        return nodes[0]?.n === 1 ? true : undefined
      },
      { deadlineMs: 30_000, what: 'the resumed worker to register anew' },
    )
    await fleet.client.post(`/v1/runs/${run.id}/cancel`)
    await until(async () => ((await books.unfinished()) === 0 ? true : undefined), {
      deadlineMs: 30_000,
      what: 'the run to end',
    })
    expect(await firstLines()).toBe(written)
    const [{ seq: eventsAfter } = { seq: 0 }] = await books.query<{ seq: number }>(
      'SELECT max(seq) AS seq FROM events WHERE run_id = $1 AND attempt = $2',
      run.id,
      first.number,
    )
    expect(eventsAfter).toBe(eventsBefore)
    const attempts = await fleet.client.get(`/v1/runs/${run.id}/attempts`)
    expect(attempts.body).toMatchObject({
      data: expect.arrayContaining([
        expect.objectContaining({ status: 'lost' }),
        expect.objectContaining({ status: 'cancelled' }),
      ]),
    })
    expect(await books.eventFaults()).toEqual([])
  } finally {
    await books.close()
  }
}, 120_000)

async function sessionsRoot(home: string): Promise<string> {
  return join(home, 'sessions')
}
