import type { Redis } from 'ioredis'

const KEYS_AT_ONCE = 1000

/** Removes every key of an epoch below this one, in small steps; answers their number. Keys of an epoch are never used after it. */
export const removeOldEpochs = async (redis: Redis, fleetKey: string, epoch: number): Promise<number> => {
  let removed = 0
  let cursor = '0'
  do {
    const [following, keys] = await redis.scan(cursor, 'MATCH', `${fleetKey}:*`, 'COUNT', KEYS_AT_ONCE)
    const old = keys.filter((key) => {
      const found = /^(\d+):/.exec(key.slice(fleetKey.length + 1))?.[1]
      return found !== undefined && Number(found) < epoch
    })
    if (old.length > 0) removed += await redis.unlink(...old)
    cursor = following
  } while (cursor !== '0')
  return removed
}

/** One step of a walk over all runs of an epoch. */
export const scanRunIds = async (
  redis: Redis,
  fleetKey: string,
  epoch: number,
  cursor: string,
): Promise<{ runIds: string[]; cursor: string }> => {
  const [following, fields] = await redis.hscan(`${fleetKey}:${epoch}:r`, cursor, 'COUNT', KEYS_AT_ONCE)
  return { runIds: fields.filter((_, at) => at % 2 === 0), cursor: following }
}
