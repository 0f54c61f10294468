import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { POOLS } from '@muster/contracts'
import { addStandardJob } from 'bullmq/dist/esm/scripts/addStandardJob-9.js'

/** A Lua script as it is sent. */
export type Script = { readonly name: string; readonly lua: string; readonly sha: string }

/** Slots are reserved for this long: the job's way to a worker. */
const RESERVED_MS = 3000

/** The layout of the keys: a gate of another format counts as cold. Raise it whenever a key, a field or POOLS' meaning changes. */
const FORMAT = 3

const CONSTANTS = [
  `local FORMAT = '${FORMAT}'`,
  `local POOLS = { ${POOLS.map((pool) => `'${pool}'`).join(', ')} }`,
  `local RESERVED_MS = ${RESERVED_MS}`,
  'local ACCRUE_MAX_MS = 60000',
  'local ADMIT_MAX = 64',
  'local PROMOTE_MAX = 64',
  'local SWEEP_MAX = 500',
  'local IDLE_MAX = 1000',
  'local PAGE_MAX = 500',
  'local LOOK_MAX = 1000',
]

const read = (path: string): string => readFileSync(new URL(`./scripts/${path}.lua`, import.meta.url), 'utf8')

/** BullMQ's own script that adds a job, as a function of its keys and arguments: the include `bullmq`. */
const ADD_STANDARD_JOB = ['local function add_standard_job(KEYS, ARGV)', addStandardJob.content, 'end'].join('\n')

/** The script `scripts/<name>.lua` behind the constants and the includes that its first line names, in that order. */
export const loadScript = (name: string): Script => {
  const body = read(name)
  const includes = /^-- include: (.*)$/m.exec(body)?.[1]?.split(' ') ?? []
  const lua = [...CONSTANTS, ...includes.map(textOf), body].join('\n')
  return { name, lua, sha: createHash('sha1').update(lua).digest('hex') }
}

const textOf = (include: string): string => (include === 'bullmq' ? ADD_STANDARD_JOB : read(`include/${include}`))
