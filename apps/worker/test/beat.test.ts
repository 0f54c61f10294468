import { expect, test } from 'vitest'
import { startBeat } from '../src/beat/start-beat.ts'

/** A server that nobody runs, so that each beat that goes out fails. */
const NOWHERE = 'postgres://nobody@127.0.0.1:1/none'

const untouched = (): never => {
  throw new Error('nothing was to be told')
}
const nobody = {
  onLost: untouched,
  onCancel: untouched,
  onDead: untouched,
  onCutOff: untouched,
  onBroken: untouched,
  onTrouble: untouched,
}

test('a beat that has ended already, by itself or because it broke, is stopped at once', async () => {
  const beat = startBeat({ databaseUrl: NOWHERE }, nobody)
  await beat.ready
  await beat.stop()
  const stopped = beat.stop().then(() => 'stopped')
  expect(await Promise.race([stopped, new Promise((resolve) => setTimeout(resolve, 2000, 'waits'))])).toBe('stopped')
})

test('a beat that is ready says nothing before the node has its name, and then at once', async () => {
  const troubles: string[] = []
  const told = Promise.withResolvers<void>()
  const beat = startBeat(
    { databaseUrl: NOWHERE },
    {
      ...nobody,
      onTrouble: (message) => {
        troubles.push(message)
        told.resolve()
      },
    },
  )
  await beat.ready
  beat.hurry()
  await new Promise((resolve) => setTimeout(resolve, 300))
  expect(troubles).toEqual([])
  beat.name('nod_01arz3ndektsv4rrffq69g5fav')
  await told.promise
  await beat.stop()
})
