/**
 * What a competent engineer writes in a day: a request is one INSERT and one BullMQ job. Started with DATABASE_URL, REDIS_URL, PORT and
 * POOL_SIZE; see `baseline.ts` for its table.
 */
import { randomUUID } from 'node:crypto'
import { serve } from '@hono/node-server'
import { Queue } from 'bullmq'
import { Hono } from 'hono'
import { Redis } from 'ioredis'
import pg from 'pg'

const { DATABASE_URL = '', REDIS_URL = '', PORT = '', POOL_SIZE = '' } = process.env

const pool = new pg.Pool({ connectionString: DATABASE_URL, max: Number(POOL_SIZE) })
const queue = new Queue('commands', { connection: new Redis(REDIS_URL, { maxRetriesPerRequest: null }) })
const app = new Hono()

app.get('/ready', (c) => c.text('ready'))
app.post('/commands', async (c) => {
  const body: unknown = await c.req.json()
  const id = randomUUID()
  await pool.query({
    name: 'accept',
    text: `INSERT INTO commands (id, status, body) VALUES ($1, 'queued', $2)`,
    values: [id, JSON.stringify(body)],
  })
  await queue.add('command', { id }, { jobId: id, removeOnComplete: true, removeOnFail: true })
  return c.json({ id, status: 'queued' }, 202)
})

process.once('disconnect', () => process.exit())
serve({ fetch: app.fetch, port: Number(PORT), hostname: '127.0.0.1' })
