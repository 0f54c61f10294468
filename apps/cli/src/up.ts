import { createLogger, drainOnSignal, type Logger } from '@muster/runtime'
import type { Config } from './config.ts'
import { Fleet } from './fleet/fleet.ts'
import type { Programs } from './fleet/programs.ts'
import { keepAdminToken } from './home/keep-admin-token.ts'
import { lockHome } from './home/lock-home.ts'
import { openHome } from './home/open-home.ts'
import { removeReadyFile, writeReadyFile } from './home/ready-file.ts'
import { formatLine, type Palette } from './terminal/format-line.ts'
import { welcome } from './terminal/welcome.ts'

/** Runs a whole fleet on this machine until it is told to stop. Resolves when it is ready; the process ends by signal. */
export async function up(config: Config, programs: Programs): Promise<void> {
  const palette: Palette = process.stdout.isTTY ? 'colours' : 'plain'
  // Nobody may be reading any more; the fleet goes on.
  process.stdout.on('error', () => undefined)
  process.stderr.on('error', () => undefined)
  const print = (text: string): void => void process.stdout.write(`${text}\n`)
  const logger = terminalLogger((line) => print(formatLine('muster', line, palette)))

  const home = openHome(config.home)
  const lock = await lockHome(home.supervisorFile)
  let welcomed = false
  const fleet = new Fleet({
    config,
    home,
    programs,
    logger,
    adminToken: config.adminToken ?? keepAdminToken(home.adminTokenFile),
    onLine: (name, line) => print(formatLine(name, line, palette)),
    onChildren: (children) => lock.keepChildren(children),
    onReady: (ready) => {
      writeReadyFile(home.readyFile, ready)
      if (!welcomed) print(welcome(ready.url, ready.api_key, home.apiKeyFile))
      welcomed = true
    },
  })
  const close = async (): Promise<void> => {
    removeReadyFile(home.readyFile)
    await fleet.stop()
    lock.release()
  }
  drainOnSignal({
    logger,
    drain: close,
    force: () => {
      removeReadyFile(home.readyFile)
      fleet.kill()
      lock.release()
    },
  })
  removeReadyFile(home.readyFile)
  logger.info(`starting in ${config.home}`)
  try {
    await fleet.start()
  } catch (error) {
    if (fleet.isStopping) return
    await close()
    throw error
  }
}

function terminalLogger(show: (line: Readonly<Record<string, unknown>>) => void): Logger {
  return createLogger({ app: 'cli', destination: { write: (line) => show(JSON.parse(line)) } })
}
