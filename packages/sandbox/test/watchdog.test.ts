import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { newId } from '@muster/core'
import { expect, it } from 'vitest'
import { groupMarker } from '../src/sandbox-group.ts'

const WORKER = fileURLToPath(new URL('watched-worker.ts', import.meta.url))

/** In namespaces of its own, so that a watchdog that kills too much finds nobody else; the bystander's number comes before its own. */
const SCRIPT = `
mount -t tmpfs tmpfs /run
for name in "/run/muster-oci/$1/container/runc.abc" "/run/muster/$2"; do
  mkdir -p "$name"
  mount --bind "$name" "$name"
done
for n in 1 2 3 4 5 6 7 8 9 10; do /bin/true; done
sleep 100 & bystander=$!
MUSTER_SANDBOX_GROUP=$2 sleep 100 & left=$!
"$3" "$4" "$1" > /run/said & worker=$!
until grep -q watched /run/said; do sleep 0.05; done
kill -KILL $worker
while kill -0 $left 2>/dev/null; do sleep 0.05; done
sleep 2
kill -0 $bystander && echo alive`

it.skipIf(process.getuid?.() !== 0)(
  'the watchdog of a dead worker kills what carries its token, and nobody who only shares a mount with the host that holds it (needs root)',
  async () => {
    const token = randomUUID()
    const marker = groupMarker({ runId: newId('run'), sessionId: null, generation: 1 }, token)
    const inside = ['-mpf', '--mount-proc', '/bin/sh', '-c', SCRIPT, 'sh', token, marker, process.execPath, WORKER]
    const { stdout } = await promisify(execFile)('unshare', inside)
    expect(stdout).toBe('alive\n')
  },
)
