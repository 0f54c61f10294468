import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { createAttachmentFolders, createNone } from '../src/index.ts'
import { makePlace, makeSpec, runToEnd } from './place.ts'
import { sandboxContract } from './sandbox-contract.ts'

sandboxContract('none', { isolation: 'nothing' })

const place = makePlace()
afterAll(() => place.remove())

it.skipIf(process.getuid?.() !== 0)(
  'in none agents read their own attachments and those of no other session (needs root)',
  async () => {
    const sandbox = createNone({ cacheRoot: join(place.root, 'cache') })
    const { folder } = await createAttachmentFolders(place.root).open([{ name: 'secret', content: 'attached' }])
    const read = makeSpec({ command: ['cat', join(folder, 'secret')], attachmentsFolder: folder })
    expect(await runToEnd(sandbox, read)).toMatchObject({ stdout: 'attached', code: 0 })
    const other = makeSpec({ command: read.command })
    expect(await runToEnd(sandbox, other)).toMatchObject({ stdout: '', code: 1 })
  },
)
