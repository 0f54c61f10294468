import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** A process that acts for clients. It ends when it is let go of, and when this process dies. */
export type ClientProcess = {
  tell(message: object): void
  /** Its next message. Throws when it tells of a failure, which it does by a text, or ends without a word. */
  answer(): Promise<unknown>
  release(): void
}

/** Starts the program `name` of this folder. */
export function startClientProcess(name: `${string}.ts`): ClientProcess {
  const entry = fileURLToPath(new URL(name, import.meta.url))
  const child: ChildProcess = fork(entry, { serialization: 'advanced' })
  const answers: unknown[] = []
  let wake = (): void => undefined
  child.on('message', (message) => {
    answers.push(message)
    wake()
  })
  child.once('exit', (code, signal) => {
    answers.push(`${name} ended with ${signal ?? code}`)
    wake()
  })
  return {
    tell: (message) => void child.send(message),
    async answer() {
      if (answers.length === 0)
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      const answer = answers.shift()
      if (typeof answer === 'string') throw new Error(`the load failed: ${answer}`)
      return answer
    },
    release() {
      if (child.connected) child.disconnect()
    },
  }
}
