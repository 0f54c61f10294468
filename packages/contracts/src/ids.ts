import { z } from 'zod'
import { slugSchema } from './text.ts'

/** The prefix of each resource's id. */
export const ID_PREFIXES = {
  workspace: 'wsp',
  apiKey: 'key',
  agent: 'agt',
  task: 'tsk',
  run: 'run',
  session: 'ses',
  node: 'nod',
  request: 'req',
} as const

export type IdKind = keyof typeof ID_PREFIXES

/** `<prefix>_` and a lower-case ULID, so that ids of one kind sort by the time they were made. */
export const idPattern = (kind: IdKind): RegExp => new RegExp(`^${ID_PREFIXES[kind]}_[0-7][0-9a-hjkmnp-tv-z]{25}$`)

/** The key of something new that is named by id or key: one that looks like an id would never be found. */
export const newKeySchema = (kind: IdKind) =>
  slugSchema.refine((key) => !idPattern(kind).test(key), { error: 'has the form of an id' })

const id = (kind: IdKind) =>
  z.string().regex(idPattern(kind), `must be an id like ${ID_PREFIXES[kind]}_01arz3ndektsv4rrffq69g5fav`)

export const workspaceIdSchema = id('workspace')
export const apiKeyIdSchema = id('apiKey')
export const agentIdSchema = id('agent')
export const taskIdSchema = id('task')
export const runIdSchema = id('run')
export const sessionIdSchema = id('session')
/** `snp_`, the run's ULID, a dash and the snapshot's number. */
export const snapshotIdSchema = z.string().regex(/^snp_[0-7][0-9a-hjkmnp-tv-z]{25}-[1-9][0-9]*$/, 'not a snapshot id')
export const nodeIdSchema = id('node')
