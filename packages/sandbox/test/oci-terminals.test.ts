import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { adapter, missingFor } from './adapters.ts'
import { makePlace, makeSpec, runToEnd } from './place.ts'

const PERL = '/usr/bin/perl'
const missing = missingFor('runc') ?? (existsSync(PERL) ? null : `${PERL} is not installed`)

describe.skipIf(missing !== null)(missing === null ? 'a container' : `a container (skipped: ${missing})`, () => {
  const place = makePlace()
  afterAll(() => place.remove())

  it('has terminals, and few of those that its machine has for all', async () => {
    const script = 'my @held; while (open my $t, "+<", "/dev/ptmx") { push @held, $t } print scalar @held'
    const end = await runToEnd(adapter('runc', join(place.root, 'cache')), makeSpec({ command: [PERL, '-e', script] }))
    expect(end).toMatchObject({ stdout: '64', code: 0 })
  })
})
