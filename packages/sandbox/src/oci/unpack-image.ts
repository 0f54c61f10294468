import { execFile } from 'node:child_process'
import { createHash, randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, readFile, rename, rm, stat } from 'node:fs/promises'
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
  const draft = join(cacheRoot, 'roots', `.draft-${randomUUID()}`)
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
  const { stdout } = await run('tar', ['-tf', layer], { maxBuffer: LIST_BYTES })
  for (const entry of stdout.split('\n')) {
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

const isThere = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )
