/** The host user that agents run as. */
export type SandboxUser = { readonly uid: number; readonly gid: number }

/** Not in any distribution's user database, so nothing on the host belongs to it. */
export const DEFAULT_SANDBOX_USER: SandboxUser = { uid: 64321, gid: 64321 }

/** The user to switch to, or null when this process is not root and so runs agents as itself. Refuses root. */
export function sandboxUserOf(user: SandboxUser = DEFAULT_SANDBOX_USER): SandboxUser | null {
  if (user.uid === 0 || user.gid === 0) throw new TypeError('agents never run as root: give the sandbox another user')
  return process.getuid?.() === 0 ? user : null
}
