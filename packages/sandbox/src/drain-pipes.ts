import type { Readable } from 'node:stream'
import type { SandboxExit, SandboxProcess } from './sandbox.ts'

export type Pipe = {
  readonly stream: Readable
  /** Until it resolves nothing more is read. Must not reject. */
  readonly accept: (chunk: Uint8Array) => Promise<void>
  readonly finish: () => Promise<void>
  /** From now on it takes what it is given without waiting for anybody. */
  readonly giveUp: () => void
}

/** How long a pipe may stay silent and open after the sandbox is empty. */
const SILENCE_MS = 1_000

/**
 * Reads pipes to their ends and answers how the sandbox ended. A pipe that someone outside still holds open is given up: once it is
 * silent, or `drainMs` after that end, from when on what a pipe holds is read at once and nobody waits for more of it.
 */
export async function drainPipes(
  process: SandboxProcess,
  drainMs: number,
  pipes: readonly Pipe[],
): Promise<SandboxExit> {
  const states = pipes.map((pipe) => ({ pipe, reading: true, chunks: 0, seen: -1 }))
  const drained = Promise.all(
    states.map(async (state) => {
      try {
        for await (const chunk of state.pipe.stream) {
          state.reading = false
          state.chunks += 1
          await state.pipe.accept(chunk)
          state.reading = true
        }
      } catch {
        // Destroyed or broken: what was read is what there is.
      }
      state.reading = false
      await state.pipe.finish()
    }),
  )
  const exit = await process.exited
  let late = false
  const limit = setTimeout(() => {
    late = true
    for (const pipe of pipes) pipe.giveUp()
  }, drainMs)
  const guard = setInterval(() => {
    for (const state of states) {
      // seen twice while it was read, it had time to give all that the sandbox left
      if (state.reading && (state.seen === state.chunks || (late && state.seen !== -1))) state.pipe.stream.destroy()
      state.seen = state.reading ? state.chunks : -1
    }
  }, SILENCE_MS)
  try {
    await drained
  } finally {
    clearTimeout(limit)
    clearInterval(guard)
    process.stdin.end()
  }
  return exit
}
