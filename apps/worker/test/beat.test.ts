import { expect, test } from 'vitest'
import { startBeat } from '../src/beat/start-beat.ts'

/** A server that nobody runs, so that each beat that goes out fails. */
const NOWHERE = 'postgres://nobody@127.0.0.1:1/none'

test('a beat that is ready says nothing before the node has its name, and then at once', async () => {
  const troubles: string[] = []
  const told = Promise.withResolvers<void>()
  const untouched = (): never => {
    throw new Error('nothing else was to be told')
  }
  const beat = startBeat(
    { databaseUrl: NOWHERE },
    {
      onLost: untouched,
      onCancel: untouched,
      onDead: untouched,
      onCutOff: untouched,
      onBroken: untouched,
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
