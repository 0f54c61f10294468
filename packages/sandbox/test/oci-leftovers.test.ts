import { chmodSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { createOci } from '../src/index.ts'
import { missingFor } from './adapters.ts'
import { makePlace, makeSpec, runToEnd } from './place.ts'

const missing = missingFor('runc')

describe.skipIf(missing !== null)(`an OCI runtime${missing === null ? '' : ` (skipped: ${missing})`}`, () => {
  const place = makePlace()
  afterAll(() => place.remove())

  /** Behaves as the real one but for one command, which it answers with a script. */
  function runtimeWith(name: string, command: string, script: string): string {
    const path = join(place.root, name)
    writeFileSync(path, `#!/bin/sh\ncase " $* " in *" ${command} "*) ${script} ;; esac\nexec /usr/sbin/runc "$@"\n`)
    chmodSync(path, 0o755)
    return path
  }

  it('that hangs when it should forget a container keeps no run from its end', async () => {
    const cacheRoot = join(place.root, 'hanging')
    const runtimePath = runtimeWith('hanging-runtime', 'delete', 'exec sleep 1000')
    const sandbox = createOci({ runtime: 'runc', cacheRoot, runtimePath })
    expect(await runToEnd(sandbox, makeSpec({ command: ['sh', '-c', 'exit 3'] }))).toMatchObject({ code: 3 })
    expect(readdirSync(join(cacheRoot, 'bundles'))).toEqual([])
  })

  it('leaves no configuration behind, whether the container ran, was refused or could not be made', async () => {
    const cacheRoot = join(place.root, 'clean')
    const sandbox = createOci({ runtime: 'runc', cacheRoot })
    await runToEnd(sandbox, makeSpec())
    expect(await sandbox.start(makeSpec(), async () => false)).toEqual({ kind: 'refused' })
    expect(await sandbox.start(makeSpec(), () => Promise.reject(new Error('away')))).toMatchObject({ kind: 'failed' })
    expect(await sandbox.start(makeSpec({ files: { '../x': '' } }))).toMatchObject({ kind: 'failed' })
    const broken = runtimeWith('broken-runtime', 'run', 'exit 1')
    await runToEnd(createOci({ runtime: 'runc', cacheRoot, runtimePath: broken }), makeSpec())
    expect(readdirSync(join(cacheRoot, 'bundles'))).toEqual([])
  })
})
