import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { chown, lstat } from 'node:fs/promises'
import type { SandboxSpec } from './sandbox.ts'

/** A host user that an agent runs as. */
export type SandboxUser = { readonly uid: number; readonly gid: number }

/** In the table of systemd that says whom numbers belong to (UIDS-GIDS.md) these are nobody's, nor does any distribution give them away. */
const FIRST = 0x7000_0000
const COUNT = 0x0800_0000
/** In no distribution's user database either. */
const SHARED = 64321

/** Whom agents run as where the worker's own user namespace has no room for one user a session. */
export const SHARED_USER: SandboxUser = { uid: SHARED, gid: SHARED }

const hasRoom = ['uid_map', 'gid_map'].every((name) => covers(name, FIRST, COUNT))

/**
 * The user of a session, or of a run without one, by its id: the same on every worker, so that a folder keeps its owner, and another for
 * each, so that what the kernel counts by user is nobody else's. Null when this process is not root and so runs agents as itself.
 */
export function sessionUser(name: string): SandboxUser | null {
  if (process.getuid?.() !== 0) return null
  if (!hasRoom) return SHARED_USER
  const id = FIRST + (createHash('sha256').update(name).digest().readUInt32BE() % COUNT)
  return { uid: id, gid: id }
}

/** Whom a sandbox runs as. That user, and no other of agents', is let into the run's attachments, which their worker keeps closed. */
export async function admitUser(spec: SandboxSpec): Promise<SandboxUser | null> {
  const user = await userOf(spec)
  if (user !== null && spec.attachmentsFolder !== null) await chown(spec.attachmentsFolder, 0, user.gid)
  return user
}

/** The owner of the sandbox's folder, if that is one of agents' users. */
async function userOf({ workspaceFolder, group }: SandboxSpec): Promise<SandboxUser | null> {
  const named = sessionUser(group.sessionId ?? group.runId)
  if (named === null || workspaceFolder === null) return named
  // One that is not there is no concern of this: the start tells of it.
  const uid = await lstat(workspaceFolder).then(
    (found) => found.uid,
    () => null,
  )
  return uid !== null && isAgentsUser(uid) ? { uid, gid: uid } : named
}

/** Whether agents of workers like this one run as that user. */
export function isAgentsUser(uid: number): boolean {
  if (process.getuid?.() !== 0) return uid === process.getuid?.()
  return uid === SHARED || (uid >= FIRST && uid < FIRST + COUNT)
}

/** Whether a map of the user namespace (`inside outside count`) has all these numbers. */
function covers(map: string, first: number, count: number): boolean {
  try {
    return readFileSync(`/proc/self/${map}`, 'utf8')
      .split('\n')
      .map((line) => line.trim().split(/\s+/).map(Number))
      .some(([inside = 0, , size = 0]) => inside <= first && first + count <= inside + size)
  } catch {
    return false
  }
}
