import { setTimeout as sleep } from 'node:timers/promises'
import type { EmbeddedServer } from '@muster/runtime'

export type KeptServer = {
  readonly url: string
  stop(): Promise<void>
}

export type KeepServingOptions = {
  /** Given the port that must be kept, from the second start on. */
  readonly start: (port?: number) => Promise<EmbeddedServer>
  readonly onEvent: (event: string, error?: unknown) => void
}

const RETRY_MS = 1000

/** Starts an embedded server and, when it ends by itself, starts it again under the same URL. */
export async function keepServing({ start, onEvent }: KeepServingOptions): Promise<KeptServer> {
  let server = await start()
  let stopping = false
  const { url, port } = server

  const watch = async (): Promise<void> => {
    for (;;) {
      await server.exited
      if (stopping) return
      onEvent('ended by itself, starting it again')
      const next = await startAgain()
      if (next === null) return
      server = next
      // The stop came while it was starting and knew only the one before.
      if (stopping) await server.stop()
    }
  }
  const startAgain = async (): Promise<EmbeddedServer | null> => {
    while (!stopping) {
      try {
        return await start(port)
      } catch (error) {
        onEvent('does not start', error)
        await sleep(RETRY_MS)
      }
    }
    return null
  }
  const watching = watch()
  return {
    url,
    stop: async () => {
      stopping = true
      await server.stop()
      await watching
    },
  }
}
