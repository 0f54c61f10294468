/**
 * Takes over the first process of the sandbox, where the kernel lets it: writes over its arguments, and over its program so that it
 * forgets to die with its parent and from then on only waits. Then sleeps as told.
 */
export const takeInitOver = (sleep: string): string => `
  import { spawn, spawnSync } from 'node:child_process'
  import { openSync, readFileSync, writeSync } from 'node:fs'
  // prctl(PR_SET_PDEATHSIG, 0), then pause() for ever.
  const code = [0xb8, 157, 0, 0, 0, 0xbf, 1, 0, 0, 0, 0x31, 0xf6, 0x0f, 0x05, 0xb8, 34, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7]
  try {
    const at = Number(readFileSync('/proc/1/syscall', 'utf8').trim().split(' ').at(-1))
    const [start, end] = readFileSync('/proc/1/stat', 'utf8').split(') ')[1].split(' ').slice(45, 47).map(Number)
    const memory = openSync('/proc/1/mem', 'r+')
    writeSync(memory, Buffer.alloc(end - start, 120), 0, end - start, start)
    writeSync(memory, Buffer.from(code), 0, code.length, at)
    // An orphan that ends wakes it.
    spawnSync('sh', ['-c', '(sleep 0.1 &)'])
  } catch {}
  setTimeout(() => spawn('sleep', ['${sleep}']), 500)`
