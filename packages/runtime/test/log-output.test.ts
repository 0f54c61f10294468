import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const fixture = fileURLToPath(new URL('fixtures/logging-process.ts', import.meta.url))

test('a reader that stalls does not stall the process; it later learns how many lines it lost', async () => {
  const child = spawn(process.execPath, [fixture], { stdio: ['ignore', 'pipe', 'pipe'] })
  await once(child.stderr, 'data')
  let read = 0
  for await (const text of createInterface({ input: child.stdout })) {
    const line = JSON.parse(text)
    if (line.dropped === undefined) read++
    else {
      expect(read + line.dropped).toBeGreaterThanOrEqual(100_000)
      break
    }
  }
  child.kill('SIGKILL')
})

test('a reader that goes away ends neither the process nor its way out', async () => {
  const child = spawn(process.execPath, [fixture], { stdio: ['ignore', 'pipe', 'pipe'] })
  child.stdout.destroy()
  await once(child.stderr, 'data')
  child.kill('SIGTERM')
  expect(await once(child, 'exit')).toEqual([0, null])
})

test.runIf(process.platform === 'linux')('a log on a full disk does not end the process', async () => {
  const full = openSync('/dev/full', 'w')
  const child = spawn(process.execPath, [fixture, '1000'], { stdio: ['ignore', full, 'pipe'] })
  closeSync(full)
  let said = ''
  child.stderr?.on('data', (chunk) => {
    said += String(chunk)
    child.kill('SIGTERM')
  })
  expect(await once(child, 'exit')).toEqual([0, null])
  expect(said).toBe('wrote all\n')
})
