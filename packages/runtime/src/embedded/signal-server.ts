import { signalProcess } from '../stop-process.ts'
import { readServerState } from './server-state.ts'

/** Sends a signal to the server that an embedded server's folder names, ready or not, if it runs; for whoever must end without waiting. */
export function signalServer(folder: string, signal: NodeJS.Signals): void {
  const { process: server } = readServerState(folder)
  if (server !== null) signalProcess(server, 'process', signal)
}
