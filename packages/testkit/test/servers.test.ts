import { redisCommand } from '@muster/runtime'
import { createRedis, sharedRedis, until } from '@muster/testkit'
import { expect, inject, test } from 'vitest'

test('the shared servers of a run answer', async () => {
  expect(await redisCommand(sharedRedis().url, ['PING'])).toBe('+PONG')
  expect(inject('postgresUrl')).toMatch(/^postgresql:/)
})

test('a Redis of one test can be held, killed and brought back under the same URL', async () => {
  await using redis = await createRedis()
  expect(await redis.command('SET', 'a', '1')).toBe('+OK')
  redis.pause()
  await expect(redisCommand(redis.url, ['GET', 'a'], 200)).rejects.toThrow('no answer')
  redis.resume()
  expect(await redis.command('STRLEN', 'a')).toBe(':1')
  await redis.stop()
  await expect(redis.command('PING')).rejects.toThrow()
  await redis.start()
  expect(await redis.command('STRLEN', 'a')).toBe(':1')
})

test('waiting gives back the first answer that is not nothing', async () => {
  let asked = 0
  expect(await until(() => (++asked === 3 ? 'there' : null))).toBe('there')
  await expect(until(() => false, { deadlineMs: 30, what: 'a miracle' })).rejects.toThrow('waited 30 ms for a miracle')
})
