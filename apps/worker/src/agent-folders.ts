import { stat } from 'node:fs/promises'
import type { Attachment } from '@muster/contracts'
import type { AttachmentFile, AttachmentFolders, Bundles } from '@muster/sandbox'
import type { ClaimedRun } from '@muster/store'

/** What an agent is shown besides its session's folder; null where it has none. */
export type AgentFolders = {
  readonly bundle: string | null
  readonly attachments: string | null
  /** Call when nothing of the sandbox is left. Never rejects. */
  remove(): Promise<void>
}

export type AgentFoldersParts = {
  readonly bundles: Bundles
  readonly attachmentFolders: AttachmentFolders
  /** The files that came with a run's command. */
  readonly readAttachments: (run: ClaimedRun) => Promise<readonly Attachment[]>
}

type AgentFoldersOutcome =
  | { readonly kind: 'opened'; readonly folders: AgentFolders }
  | { readonly kind: 'absent'; readonly reason: string }
  | { readonly kind: 'stopped' }

/** Asks Postgres until it answers; null when the run is no longer to start. */
type AskUntilAnswered = <T>(question: () => Promise<T>) => Promise<T | null>

/** Finds an agent's bundle and writes down its attachments; a plain run costs nothing here. */
export async function openAgentFolders(
  run: ClaimedRun,
  { bundles, attachmentFolders, readAttachments }: AgentFoldersParts,
  ask: AskUntilAnswered,
): Promise<AgentFoldersOutcome> {
  const found = run.config.bundle === undefined ? null : await bundles.find(run.config.bundle)
  if (found?.kind === 'absent') return found
  const bundle = found?.folder ?? null
  if (run.attachments.length === 0)
    return { kind: 'opened', folders: { bundle, attachments: null, remove: async () => undefined } }
  const files = await ask(() => readAttachments(run))
  if (files === null) return { kind: 'stopped' }
  if (files.length !== run.attachments.length)
    throw new Error('the files that came with the command are not kept any more')
  const { folder, remove } = await attachmentFolders.open(files.map(fileOf))
  // what stays is removed with all that is left behind; the attempt ends as its program did
  return { kind: 'opened', folders: { bundle, attachments: folder, remove: () => remove().catch(() => undefined) } }
}

const fileOf = ({ name, text, base64 }: Attachment): AttachmentFile => ({
  name,
  content: base64 === undefined ? (text ?? '') : Buffer.from(base64, 'base64'),
})

/** Throws when the folder of bundles that the operator named is none. */
export async function proveBundlesRoot(root: string): Promise<void> {
  const found = await stat(root).catch(() => null)
  if (found?.isDirectory() !== true) throw new Error(`MUSTER_BUNDLES_ROOT: ${root} is not a folder`)
}
