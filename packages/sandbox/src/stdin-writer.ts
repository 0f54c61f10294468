import type { Writable } from 'node:stream'
import type { StdinWriter } from './sandbox.ts'

/** Writes to a pipe whose reader may close it, ignore it or die: none of that is an error here. */
export function createStdinWriter(stdin: Writable): StdinWriter {
  stdin.on('error', () => undefined)
  return {
    write: (text) =>
      new Promise((resolve) => {
        if (!stdin.writable) resolve('closed')
        else stdin.write(text, (error) => resolve(error ? 'closed' : 'written'))
      }),
    end: () => {
      stdin.end()
    },
  }
}
