import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type EmbeddedServer, type EmbeddedServerOptions, type ProcessRecord, signalProcess } from '@muster/runtime'
import { removeScratchFolder, scratchFolder } from './scratch-folder.ts'

/** A server of one test alone, which may be stopped, killed and held; its URL stays the same through all of it. */
export type TestServer = {
  readonly url: string
  readonly port: number
  pid(): number
  /** Ends it in good order; `start` brings it back with its data. */
  stop(): Promise<void>
  /** SIGKILL: data not yet on disk by the server's own rules are lost. */
  kill(): Promise<void>
  start(): Promise<void>
  restart(): Promise<void>
  /** SIGSTOP of the server and all its children: connections stay open and nothing answers. */
  pause(): void
  resume(): void
  /** Ends it and removes its data. */
  [Symbol.asyncDispose](): Promise<void>
}

export async function startTestServer(
  start: (options: EmbeddedServerOptions) => Promise<EmbeddedServer>,
  settings: Readonly<Record<string, string>>,
): Promise<TestServer> {
  const folder = scratchFolder()
  let server = await start({ folder, settings })
  let running = true
  const { url, port } = server
  const end = async (how: 'stop' | 'kill'): Promise<void> => {
    if (!running) return
    running = false
    signalFamily(server.process, 'SIGCONT')
    await server[how]()
  }
  const begin = async (): Promise<void> => {
    if (running) return
    server = await start({ folder, settings, port })
    running = true
  }
  return {
    url,
    port,
    pid: () => server.process.pid,
    stop: () => end('stop'),
    kill: () => end('kill'),
    start: begin,
    restart: async () => {
      await end('stop')
      await begin()
    },
    pause: () => signalFamily(server.process, 'SIGSTOP'),
    resume: () => signalFamily(server.process, 'SIGCONT'),
    [Symbol.asyncDispose]: async () => {
      await end('kill')
      await removeScratchFolder(folder)
    },
  }
}

/** The server first, so that it starts no more children, then these. */
function signalFamily(server: ProcessRecord, signal: NodeJS.Signals): void {
  signalProcess(server, 'process', signal)
  for (const pid of childrenOf(server.pid)) {
    try {
      process.kill(pid, signal)
    } catch {
      // It ended in between.
    }
  }
}

function childrenOf(parent: number): number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  return pids.map(Number).filter((pid) => {
    try {
      const stat = readFileSync(join('/proc', String(pid), 'stat'), 'latin1')
      return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === parent
    } catch {
      return false
    }
  })
}
