import { execFile } from 'node:child_process'
import { createHash, randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { lstat, mkdir, readFile, realpath, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { promisify } from 'node:util'
import { z } from 'zod'

export type ImageSource = { readonly layout: string; readonly reference?: string }

const digestSchema = z.string().regex(/^sha256:[0-9a-f]{64}$/, 'not a sha256 digest')
const descriptorSchema = z.object({
  mediaType: z.string(),
  digest: digestSchema,
  annotations: z.record(z.string(), z.string()).optional(),
  platform: z.object({ architecture: z.string(), os: z.string() }).optional(),
})
const indexSchema = z.object({ manifests: z.array(descriptorSchema) })
const manifestSchema = z.object({ layers: z.array(descriptorSchema) })
type Descriptor = z.infer<typeof descriptorSchema>

/** What the names of roots begin with that are not whole yet. */
export const DRAFT = '.draft-'
const REFERENCE = 'org.opencontainers.image.ref.name'
const ARCHITECTURES = new Map([
  ['x64', 'amd64'],
  ['arm64', 'arm64'],
])
const WHITEOUT = '.wh.'
const OPAQUE = '.wh..wh..opq'
const LIST_BYTES = 256 * 1024 * 1024
const run = promisify(execFile)

/**
 * The files of an image from an OCI layout on disk, unpacked once below `cacheRoot` under the digest of its manifest. Every
 * blob is compared with its digest. An image is trusted like the host's own programs.
 */
export async function unpackImage(source: ImageSource, cacheRoot: string): Promise<string> {
  const manifest = await manifestOf(source)
  const folder = join(cacheRoot, 'roots', manifest.digest.replace(':', '-'))
  if (await isThere(folder)) return folder
  const draft = join(cacheRoot, 'roots', `${DRAFT}${randomUUID()}`)
  await mkdir(draft, { recursive: true, mode: 0o755 })
  try {
    const { layers } = manifestSchema.parse(JSON.parse(await readBlob(source, manifest)))
    for (const layer of layers) await applyLayer(await checkedBlob(source, layer), draft)
    await rename(draft, folder)
  } catch (error) {
    await rm(draft, { recursive: true, force: true })
    if (!(await isThere(folder))) throw error
  }
  return folder
}

/** The manifest that the reference names, or the only one, or that of this architecture. */
async function manifestOf(source: ImageSource): Promise<Descriptor> {
  const { manifests } = indexSchema.parse(JSON.parse(await readFile(join(source.layout, 'index.json'), 'utf8')))
  const named =
    source.reference === undefined
      ? manifests
      : manifests.filter((one) => one.annotations?.[REFERENCE] === source.reference)
  const chosen = named.length === 1 ? named[0] : named.find(isOfHere)
  if (chosen === undefined)
    throw new Error(`no image ${source.reference ?? ''} for this architecture in ${source.layout}`)
  if (!chosen.mediaType.includes('index') && !chosen.mediaType.includes('list')) return chosen
  const inner = indexSchema.parse(JSON.parse(await readBlob(source, chosen))).manifests.find(isOfHere)
  if (inner === undefined) throw new Error(`no image for this architecture in ${source.layout}`)
  return inner
}

const isOfHere = ({ platform }: Descriptor): boolean =>
  platform?.os === 'linux' && platform.architecture === ARCHITECTURES.get(process.arch)

async function readBlob(source: ImageSource, descriptor: Descriptor): Promise<string> {
  return await readFile(await checkedBlob(source, descriptor), 'utf8')
}

async function checkedBlob(source: ImageSource, { digest }: Descriptor): Promise<string> {
  const path = join(source.layout, 'blobs', ...digest.split(':'))
  const hash = createHash('sha256')
  await pipeline(createReadStream(path), hash)
  if (`sha256:${hash.digest('hex')}` !== digest) throw new Error(`${path} is not what its digest says`)
  return path
}

/** First what the layer takes away, then what it brings. */
async function applyLayer(layer: string, folder: string): Promise<void> {
  const { stdout } = await run('tar', ['--quoting-style=literal', '-tf', layer], { maxBuffer: LIST_BYTES })
  const entries = stdout.split('\n')
  await refuseWaysOut(entries, folder)
  for (const entry of entries) {
    const name = basename(entry)
    if (!name.startsWith(WHITEOUT) || entry.split('/').includes('..')) continue
    const parent = join(folder, dirname(entry))
    if (name === OPAQUE) {
      await rm(parent, { recursive: true, force: true })
      await mkdir(parent, { recursive: true })
    } else await rm(join(parent, name.slice(WHITEOUT.length)), { recursive: true, force: true })
  }
  await run('tar', ['-xpf', layer, '-C', folder, '--numeric-owner', `--exclude=${WHITEOUT}*`])
}

/** An earlier layer may have brought links, and one to a folder of the host would be followed there. */
async function refuseWaysOut(entries: readonly string[], folder: string): Promise<void> {
  const root = await realpath(folder)
  const ways = new Set<string>()
  for (const entry of entries)
    for (let way = dirname(entry); way !== '.' && way !== '/' && !ways.has(way); way = dirname(way)) ways.add(way)
  for (const way of ways) {
    const found = await lstat(join(root, way)).catch(() => null)
    if (found?.isSymbolicLink() !== true) continue
    const end = await realpath(join(root, way)).catch(() => null)
    if (end === null || !`${end}/`.startsWith(`${root}/`))
      throw new Error(`a layer writes to ${way}, a link that leads out of its image`)
  }
}

const isThere = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )
