import { linkSync, renameSync, rmSync } from 'node:fs'
import {
  isRunning,
  type ProcessRecord,
  processRecord,
  readFileIfAny,
  stopProcess,
  writePrivateFile,
} from '@muster/runtime'
import { z } from 'zod'

const recordSchema = z.object({ pid: z.int(), started: z.string() })
const fileSchema = z.object({ supervisor: recordSchema, children: z.array(recordSchema) })

export type HomeLock = {
  /** Notes the processes that would outlive a killed supervisor, for the next one to end. */
  keepChildren(children: readonly ProcessRecord[]): void
  release(): void
}

/** Another living process supervises this home. */
export class HomeInUseError extends Error {
  override readonly name = 'HomeInUseError'
}

/** Takes a home for this process alone. What a killed supervisor left running there is ended first. */
export async function lockHome(file: string): Promise<HomeLock> {
  const supervisor = processRecord(process.pid)
  if (supervisor === null) throw new Error('this process cannot be found')
  const draft = `${file}.${process.pid}`
  for (;;) {
    writePrivateFile(draft, JSON.stringify({ supervisor, children: [] }))
    try {
      linkSync(draft, file)
      break
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
      await endFormerSupervisor(file, draft)
    } finally {
      rmSync(draft, { force: true })
    }
  }
  return {
    keepChildren: (children) => writePrivateFile(file, JSON.stringify({ supervisor, children })),
    release: () => rmSync(file, { force: true }),
  }
}

async function endFormerSupervisor(file: string, aside: string): Promise<void> {
  const text = readFileIfAny(file)
  if (text === null) return
  const former = fileSchema.parse(JSON.parse(text))
  if (isRunning(former.supervisor))
    throw new HomeInUseError(
      `a fleet already runs on ${file.replace(/\/[^/]*$/, '')} (process ${former.supervisor.pid})`,
    )
  await Promise.all(former.children.map((child) => stopProcess(child, 'group', LEFT_OVER_STEPS)))
  try {
    renameSync(file, `${aside}.former`)
  } catch {
    return
  }
  // Somebody else may have taken the home between the look and the move: then it is theirs.
  if (readFileIfAny(`${aside}.former`) === text) rmSync(`${aside}.former`)
  else renameSync(`${aside}.former`, file)
}

const LEFT_OVER_STEPS = [
  { signal: 'SIGTERM', waitMs: 3000 },
  { signal: 'SIGKILL', waitMs: 10_000 },
] as const
