import { isatty } from 'node:tty'
import { createLogger, drainOnSignal, type Logger, logOutput } from '@muster/runtime'
import type { Config, LogLevel } from './config.ts'
import { Fleet } from './fleet/fleet.ts'
import { FleetError } from './fleet/fleet-error.ts'
import type { Programs } from './fleet/programs.ts'
import { reasonOf } from './fleet/reason-of.ts'
import { keepAdminToken } from './home/keep-admin-token.ts'
import { HomeInUseError, type HomeLock, lockHome } from './home/lock-home.ts'
import { type Home, openHome } from './home/open-home.ts'
import { removeReadyFile, writeReadyFile } from './home/ready-file.ts'
import { formatLine, type Palette } from './terminal/format-line.ts'
import { isWanted } from './terminal/is-wanted.ts'
import { welcome } from './terminal/welcome.ts'

/** Runs a whole fleet on this machine until it is told to stop. Resolves when it is ready; the process ends by signal. */
export async function up(config: Config, programs: Programs): Promise<void> {
  const palette: Palette = isatty(1) ? 'colours' : 'plain'
  // Nobody may be reading any more; the fleet goes on.
  process.stderr.on('error', () => undefined)
  const output = logOutput()
  const print = (text: string): void => void output.write(`${text}\n`)
  const logger = terminalLogger(config.logLevel, (line) => print(formatLine('muster', line, palette)))
  /** A disk that is full for a while costs a note, not the fleet. */
  const note = (file: string, write: () => void): void => {
    try {
      write()
    } catch (error) {
      logger.error({ err: error }, `cannot write ${file}`)
    }
  }

  const { home, lock } = await takeHome(config.home)
  let welcomed = false
  const fleet = new Fleet({
    config,
    home,
    programs,
    logger,
    adminToken: config.adminToken ?? keepAdminToken(home.adminTokenFile),
    onLine: (name, line) => {
      if (isWanted(line, config.logLevel)) print(formatLine(name, line, palette))
    },
    onChildren: (children) => note(home.supervisorFile, () => lock.keepChildren(children)),
    onReady: (ready) => {
      note(home.readyFile, () => writeReadyFile(home.readyFile, ready))
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

async function takeHome(folder: string): Promise<{ readonly home: Home; readonly lock: HomeLock }> {
  try {
    const home = openHome(folder)
    return { home, lock: await lockHome(home.supervisorFile) }
  } catch (error) {
    if (error instanceof HomeInUseError) throw error
    throw new FleetError(`cannot keep the fleet in ${folder} (MUSTER_HOME): ${reasonOf(error)}`, { cause: error })
  }
}

function terminalLogger(level: LogLevel, show: (line: Readonly<Record<string, unknown>>) => void): Logger {
  return createLogger({ app: 'cli', level, destination: { write: (line) => show(JSON.parse(line)) } })
}
