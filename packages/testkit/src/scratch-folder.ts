import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isRunning, type ProcessRecord, processRecord, stopProcess } from '@muster/runtime'

const PREFIX = 'muster-test-'

/** A new folder below the system's temporary one, that other accounts can pass through. It knows its maker, so that a later run can clear it. */
export function scratchFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), PREFIX))
  chmodSync(folder, 0o711)
  const site = join(folder, 'site')
  mkdirSync(site, { mode: 0o755 })
  writeFileSync(join(folder, 'maker.json'), JSON.stringify(processRecord(process.pid)))
  return site
}

/** Removes it; a server that a failed test left serving in it is ended first. */
export async function removeScratchFolder(site: string): Promise<void> {
  await endServersBelow(site)
  rmSync(join(site, '..'), { recursive: true, force: true, maxRetries: 5 })
}

/** Ends the servers and removes the folders of runs that were killed before they could do so themselves. */
export async function clearAbandonedScratch(): Promise<void> {
  for (const name of readdirSync(tmpdir()).filter((entry) => entry.startsWith(PREFIX))) {
    const folder = join(tmpdir(), name)
    const maker = readRecord(join(folder, 'maker.json'))
    if (maker === null || isRunning(maker)) continue
    await endServersBelow(folder)
    rmSync(folder, { recursive: true, force: true })
  }
}

async function endServersBelow(folder: string): Promise<void> {
  for (const path of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    if (!path.endsWith('server.json')) continue
    const server = readRecord(join(folder, path))
    if (server !== null) await stopProcess(server, 'process', [{ signal: 'SIGKILL', waitMs: 5000 }])
  }
}

function readRecord(path: string): ProcessRecord | null {
  try {
    const value: unknown = JSON.parse(readFileSync(path, 'utf8'))
    const record: unknown = isObject(value) && 'process' in value ? value['process'] : value
    if (!isObject(record) || typeof record['pid'] !== 'number' || typeof record['started'] !== 'string') return null
    return { pid: record['pid'], started: record['started'] }
  } catch {
    return null
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
