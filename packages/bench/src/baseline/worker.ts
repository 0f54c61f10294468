/** Takes the baseline's jobs: UPDATE running, nothing, UPDATE done. Started with DATABASE_URL, REDIS_URL, CONCURRENCY, POOL_SIZE, JOB_MS and READY_FILE. */
import { writeFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { Worker } from 'bullmq'
import { Redis } from 'ioredis'
import pg from 'pg'

const {
  DATABASE_URL = '',
  REDIS_URL = '',
  CONCURRENCY = '',
  POOL_SIZE = '',
  READY_FILE = '',
  JOB_MS = '0',
} = process.env
const jobMs = Number(JOB_MS)

const pool = new pg.Pool({ connectionString: DATABASE_URL, max: Number(POOL_SIZE) })
const worker = new Worker<{ readonly id: string }>(
  'commands',
  async ({ data: { id } }) => {
    await pool.query({
      name: 'start',
      text: `UPDATE commands SET status = 'running', started_at = now() WHERE id = $1`,
      values: [id],
    })
    const began_at_ms = performance.timeOrigin + performance.now()
    if (jobMs > 0) await delay(jobMs)
    await pool.query({
      name: 'end',
      text: `UPDATE commands SET status = 'done', ended_at = now(), output = $2 WHERE id = $1`,
      values: [id, JSON.stringify({ began_at_ms })],
    })
  },
  { connection: new Redis(REDIS_URL, { maxRetriesPerRequest: null }), concurrency: Number(CONCURRENCY) },
)
process.once('disconnect', () => process.exit())
await worker.waitUntilReady()
writeFileSync(READY_FILE, '')
