import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { freePort, isRunning, redisCommand, startPostgres, startRedis } from '@muster/runtime'
import { removeScratchFolder, scratchFolder } from '@muster/testkit'
import pg from 'pg'
import { afterEach, beforeEach, expect, test } from 'vitest'

let folder: string
beforeEach(() => {
  folder = scratchFolder()
})
afterEach(() => removeScratchFolder(folder))

async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query({ text: sql, rowMode: 'array' })).rows.flat()
  } finally {
    await client.end()
  }
}

test('Postgres keeps its data, password and port across a stop and a crash', async () => {
  const first = await startPostgres({ folder })
  await query(first.url, 'create table kept (n int)')
  await query(first.url, 'insert into kept values (1)')
  await first.stop()
  const second = await startPostgres({ folder })
  expect(second.url).toBe(first.url)
  await query(second.url, 'insert into kept values (2)')
  await second.kill()
  const third = await startPostgres({ folder })
  expect(await query(third.url, 'select n from kept order by n')).toEqual([1, 2])
  await third.stop()
})

test('Postgres is durable, orders text by code point and demands its password', async () => {
  const server = await startPostgres({ folder })
  const settings = await query(
    server.url,
    `select current_setting('fsync'), current_setting('synchronous_commit'), current_setting('server_encoding'), 'a' < 'B', lower('Ä')`,
  )
  expect(settings).toEqual(['on', 'on', 'UTF8', false, 'ä'])
  await expect(query(server.url.replace(/:[^:@]*@/, ':wrong@'), 'select 1')).rejects.toThrow('password')
  await server.stop()
})

test('a server that was left behind is ended before its folder is served again', async () => {
  for (const start of [startPostgres, startRedis]) {
    const site = join(folder, start.name)
    const left = await start({ folder: site })
    const next = await start({ folder: site })
    await left.exited
    expect(isRunning(left.process)).toBe(false)
    expect(isRunning(next.process)).toBe(true)
    await next.stop()
  }
})

test('a pid file that outlived its server, with a pid that now belongs to another, does not keep Postgres from starting', async () => {
  const first = await startPostgres({ folder })
  await first.kill()
  const pidFile = join(folder, 'data', 'postmaster.pid')
  writeFileSync(pidFile, readFileSync(pidFile, 'utf8').replace(/^\d+/, String(process.pid)))
  const second = await startPostgres({ folder })
  await second.stop()
})

test('a port that was taken meanwhile is replaced, unless it must be that one', async () => {
  const first = await startRedis({ folder })
  await first.stop()
  const squatter = createServer().listen(first.port, '127.0.0.1')
  const second = await startRedis({ folder })
  expect(second.port).not.toBe(first.port)
  await second.stop()
  await expect(startRedis({ folder, port: first.port })).rejects.toThrow(/[Aa]ddress already in use|bind/)
  squatter.close()
})

test('Redis writes an append-only file, evicts nothing, and demands its password', async () => {
  const port = await freePort()
  const server = await startRedis({ folder, port })
  expect(server.port).toBe(port)
  await redisCommand(server.url, ['SET', 'kept', 'value'])
  expect(readFileSync(join(folder, 'redis.conf'), 'utf8')).toMatch(
    /^appendfsync everysec\n(.*\n)*maxmemory-policy noeviction$/m,
  )
  expect(await redisCommand(`redis://127.0.0.1:${port}`, ['PING'])).toMatch(/^-NOAUTH/)
  await server.stop()
  const again = await startRedis({ folder })
  expect(await redisCommand(again.url, ['STRLEN', 'kept'])).toBe(':5')
  await again.stop()
})

test('Redis whose data were damaged starts without them, says so and keeps them aside', async () => {
  const first = await startRedis({ folder })
  for (let index = 0; index < 20; index++) await redisCommand(first.url, ['SET', `key-${index}`, 'value'])
  await first.stop()
  const files = join(folder, 'data', 'appendonlydir')
  const file = join(files, readdirSync(files).find((name) => name.includes('.incr.')) ?? '')
  writeFileSync(file, readFileSync(file).fill(0, 300, 400))
  const notes: string[] = []
  const second = await startRedis({ folder, onNote: (note) => notes.push(note) })
  expect(await redisCommand(second.url, ['DBSIZE'])).toBe(':0')
  expect(notes).toEqual([expect.stringContaining('data.unreadable')])
  expect(existsSync(join(folder, 'data.unreadable', 'appendonlydir'))).toBe(true)
  await second.stop()
})

test('a folder can be passed by other accounts under any umask, as the servers are others when root starts them', async () => {
  const umask = process.umask(0o077)
  const server = await startRedis({ folder: join(folder, 'redis') })
  process.umask(umask)
  expect(statSync(join(folder, 'redis')).mode & 0o777).toBe(0o711)
  await server.stop()
})

test('what a server keeps secret is readable by its owner only', async () => {
  const server = await startRedis({ folder })
  for (const name of ['server.json', 'redis.conf', 'data']) expect(statSync(join(folder, name)).mode & 0o077).toBe(0)
  await server.stop()
})

test.runIf(process.getuid?.() === 0)('as root, no server runs as root', async () => {
  const [postgres, redis] = await Promise.all([
    startPostgres({ folder: join(folder, 'postgres') }),
    startRedis({ folder: join(folder, 'redis') }),
  ])
  for (const server of [postgres, redis]) {
    const status = readFileSync(`/proc/${server.process.pid}/status`, 'utf8')
    expect(/^Uid:\s+(\d+)\s+(\d+)/m.exec(status)?.slice(1)).not.toContain('0')
    await server.stop()
  }
})
