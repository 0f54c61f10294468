import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const fixture = fileURLToPath(new URL('fixtures/draining-process.ts', import.meta.url))

function start(how: string): {
  child: ChildProcess
  said: (text: string) => Promise<void>
  ended: Promise<number | null>
} {
  const child = spawn(process.execPath, [fixture, how], { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] })
  let text = ''
  let look = (): void => {}
  child.stdout?.on('data', (chunk) => {
    text += String(chunk)
    look()
  })
  const said = (words: string): Promise<void> =>
    new Promise((resolve) => {
      look = () => text.includes(words) && resolve()
      look()
    })
  return { child, said, ended: once(child, 'exit').then(([code]) => code) }
}

test.for(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)('the first %s drains and ends with 0', async (signal) => {
  const { child, said, ended } = start('well')
  await said('ready')
  child.kill(signal)
  expect(await ended).toBe(0)
})

test('a signal that comes twice at once drains; a later one forces', async () => {
  const { child, said, ended } = start('stuck')
  await said('ready')
  child.kill('SIGTERM')
  child.kill('SIGINT')
  await said('draining')
  child.kill('SIGINT')
  const again = setInterval(() => child.kill('SIGINT'), 50)
  await said('forced')
  expect(await ended).toBe(1)
  clearInterval(again)
})

test('a supervisor that goes away drains its child', async () => {
  const { child, said, ended } = start('well')
  await said('ready')
  child.disconnect()
  expect(await ended).toBe(0)
})

test('a supervisor that goes away while its child is still starting drains it too', async () => {
  const { child, ended } = start('slow to start')
  child.disconnect()
  expect(await ended).toBe(0)
})

test('a drain that fails, and a rejection nobody handles, end with 1 and say why', async () => {
  const failing = start('failing')
  await failing.said('ready')
  failing.child.kill('SIGTERM')
  await failing.said('cannot drain')
  expect(await failing.ended).toBe(1)
  const careless = start('careless')
  await careless.said('nobody looks')
  expect(await careless.ended).toBe(1)
})
