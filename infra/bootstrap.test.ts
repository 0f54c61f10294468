import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'

const PLAIN_TOOLS =
  'sh cat cksum chmod cp mkdir mv rm rmdir sleep dirname find sed sort tr tail printf touch ls grep'.split(' ')
const homes: string[] = []
afterEach(() => {
  for (const home of homes.splice(0)) rmSync(home, { recursive: true })
})

type Machine = {
  readonly system?: 'Linux' | 'Darwin'
  readonly uid?: number
  /** Programs of the machine beside the plain ones: name and what they do. */
  readonly programs?: Readonly<Record<string, string>>
}

/** apt-get as far as the script asks it: an installation brings programs onto the machine, a download a file for each package. */
const APT = `case "$*" in
  *'install -s'*) echo 'Inst redis-server (7)'; echo 'Inst libredis (1)'; echo 'Inst bubblewrap (0.8)' ;;
  *download*) while [ "$1" != download ]; do shift; done; shift; for name in "$@"; do touch "$name.deb"; done ;;
  *'install -qy'*) for name in redis-server bwrap; do printf '#!/bin/sh\\n' >"$MACHINE/$name"; chmod 755 "$MACHINE/$name"; done ;;
esac`
/** dpkg -x: each archive holds the program after which it is named. */
const DPKG = `case $2 in
  */redis-server.deb) name=usr/bin/redis-server ;; */bubblewrap.deb) name=usr/bin/bwrap ;; *) name=usr/lib/libredis.so ;;
esac
mkdir -p "$(dirname "$3/$name")"; printf '#!/bin/sh\\necho unpacked\\n' >"$3/$name"; chmod 755 "$3/$name"`
const FAILS = 'echo cannot; exit 1'
const THERE = ''

/** A clone on a machine of stand-ins, which only note how they were called. */
function machine({ system = 'Linux', uid = 1000, programs = {} }: Machine) {
  const home = mkdtempSync(join(tmpdir(), 'muster-bootstrap-'))
  homes.push(home)
  const [clone, bin, calls] = [join(home, 'clone'), join(home, 'bin'), join(home, 'calls')]
  for (const folder of ['infra', 'prisma', 'packages/store/src/generated'])
    mkdirSync(join(clone, folder), { recursive: true })
  mkdirSync(bin)
  copyFileSync(new URL('bootstrap.sh', import.meta.url), join(clone, 'infra/bootstrap.sh'))
  for (const file of ['package-lock.json', 'prisma/schema.prisma']) writeFileSync(join(clone, file), '{}')
  for (const tool of PLAIN_TOOLS) {
    const path = ['/usr/bin', '/bin'].map((folder) => join(folder, tool)).find(existsSync)
    if (path !== undefined) symlinkSync(path, join(bin, tool))
  }
  const add = (folder: string, name: string, body: string) => {
    mkdirSync(folder, { recursive: true })
    const note = ['uname', 'id'].includes(name) ? '' : `echo "${name} $*" >>"${calls}"\n`
    writeFileSync(join(folder, name), `#!/bin/sh\n${note}${body}\n`)
    chmodSync(join(folder, name), 0o755)
  }
  const started = `case "$1" in apps/*|*vitest*|*turbo*) echo "started $1 bwrap=\${MUSTER_BWRAP_PATH:-usual} redis=$(command -v redis-server) compiled=$NODE_COMPILE_CACHE umask=$(umask)" ;; esac`
  const npm = `[ "$1" != ci ] || { mkdir -p node_modules/.bin && cp "$MACHINE/node" node_modules/.bin/node; }`
  const all = { uname: `echo ${system}`, id: `echo ${uid}`, node: started, npm, ...programs }
  for (const [name, body] of Object.entries(all)) add(bin, name, body)
  return {
    clone,
    bin,
    run(word: string, env: Record<string, string> = {}) {
      writeFileSync(calls, '')
      // As npm calls it: from the clone, by a relative path.
      const { status, stdout, stderr } = spawnSync('/bin/sh', ['infra/bootstrap.sh', word], {
        cwd: clone,
        env: { PATH: bin, MACHINE: bin, ...env },
        encoding: 'utf8',
        timeout: 30_000,
      })
      return { status, said: stdout + stderr, calls: readFileSync(calls, 'utf8') }
    },
  }
}

test('where everything is there it starts at once, and the second time asks nobody', () => {
  const { run, clone } = machine({ programs: { 'redis-server': THERE, bwrap: THERE, 'apt-get': FAILS } })
  const first = run('up')
  expect(first).toMatchObject({ status: 0 })
  // a process started again reads what was compiled before
  expect(first.said).toContain(`compiled=${clone}/node_modules/.cache/compiled`)
  expect(first.calls).toContain('npm ci --ignore-scripts')
  const again = run('up')
  expect(again.said).toMatch(/^started apps\/cli\/src\/main.ts /)
  expect(again.calls).not.toMatch(/npm|apt-get/)
})

test('it is set up alike whatever the caller has set', () => {
  const { run, clone, bin } = machine({ programs: { 'redis-server': THERE, bwrap: THERE } })
  mkdirSync(join(bin, 'infra'))
  const umask = process.umask(0o077)
  const first = run('up', { CDPATH: bin, NODE_ENV: 'production', npm_config_ignore_scripts: 'true' })
  process.umask(umask)
  expect(first.said).toContain(`started apps/cli/src/main.ts`)
  expect(first.said).toContain(`compiled=${clone}/node_modules/.cache/compiled umask=0022`)
  expect(first.calls).toContain('npm ci --ignore-scripts --include=dev --include=optional')
  expect(first.calls).toContain('npm rebuild --ignore-scripts=false node')
})

test('what another start left behind when it was killed is taken over, though its process id belongs to another by now', () => {
  const { run, clone } = machine({ programs: { 'redis-server': THERE, bwrap: THERE } })
  mkdirSync(join(clone, '.bootstrap.lock'))
  writeFileSync(join(clone, '.bootstrap.lock/pid'), `${process.pid}\n`)
  const { status, said } = run('up')
  expect([status, said]).toEqual([0, expect.stringContaining('started apps/cli')])
  expect(said).not.toContain('waiting')
})

test('where it may not write it says so and ends', () => {
  const cannot = 'case "$*" in *bootstrap.lock*) exit 1 ;; esac; exec /bin/mkdir "$@"'
  const { run, clone, bin } = machine({ programs: { 'redis-server': THERE, bwrap: THERE } })
  rmSync(join(bin, 'mkdir'))
  writeFileSync(join(bin, 'mkdir'), `#!/bin/sh\n${cannot}\n`, { mode: 0o755 })
  const { status, said } = run('up')
  expect([status, said]).toEqual([1, expect.stringContaining(`let this user write in ${clone}`)])
})

test('a list that cannot be fetched hinders nothing that can', () => {
  const lame = APT.replace('case "$*" in', 'case "$*" in\n  *update*) exit 100 ;;')
  for (const uid of [0, 1000])
    expect(machine({ uid, programs: { 'apt-get': lame, dpkg: DPKG } }).run('up')).toMatchObject({
      status: 0,
      said: expect.stringContaining('started apps/cli'),
    })
})

test('root installs what is missing, and nothing else', () => {
  const { run } = machine({ uid: 0, programs: { 'apt-get': APT, dpkg: DPKG } })
  const { status, calls, said } = run('up')
  expect([status, said]).toEqual([0, expect.stringContaining('started apps/cli/src/main.ts')])
  expect(calls).toContain('apt-get install -qy --no-install-recommends redis-server bubblewrap')
  expect(calls).not.toContain('chromium')
})

test('anybody else unpacks the same packages beside the clone, once', () => {
  const { run, clone } = machine({ programs: { 'apt-get': APT, dpkg: DPKG } })
  const { status, calls, said } = run('up')
  expect([status, said]).toEqual([
    0,
    expect.stringContaining(`bwrap=${clone}/.tools/bin/bwrap redis=${clone}/.tools/bin/redis-server`),
  ])
  expect(calls).toContain('download redis-server libredis bubblewrap')
  expect(calls).not.toContain('install -qy')
  // a library that was unpacked is found by the server, and by nothing else
  expect(readFileSync(join(clone, '.tools/bin/redis-server'), 'utf8')).toContain(
    `LD_LIBRARY_PATH="${clone}/.tools/root/usr/lib:"`,
  )
  expect(run('up').calls).not.toMatch(/apt-get|dpkg/)
})

test('without Redis nothing starts, and every way out is named', () => {
  for (const [programs, way] of [
    [{ 'apt-get': FAILS, dpkg: DPKG }, 'sudo apt-get install redis-server bubblewrap'],
    [{ dnf: THERE }, 'sudo dnf install redis bubblewrap'],
    [{ apk: THERE }, 'sudo apk add redis bubblewrap'],
    [{}, "this system's package manager: redis-server bubblewrap"],
  ] as const) {
    const { status, said } = machine({ programs }).run('up')
    expect(status).toBe(1)
    expect(said).not.toContain('started')
    for (const words of ['Redis is missing', way, 'REDIS_URL', 'valkey-server']) expect(said).toContain(words)
  }
})

test('without bubblewrap it starts, says which pool is missing and how to get it, and never runs agents bare by itself', () => {
  const { run } = machine({})
  const { status, said } = run('up', { REDIS_URL: 'redis://elsewhere' })
  expect(status).toBe(0)
  for (const words of [
    'pool bubblewrap will not be served',
    'no_node',
    'MUSTER_POOLS=none:4 npm start',
    'started apps/cli',
  ])
    expect(said).toContain(words)
  const opted = run('up', { REDIS_URL: 'redis://elsewhere', MUSTER_POOLS: 'none:2' })
  expect(opted.said).not.toContain('bubblewrap')
  expect(run('up', { REDIS_URL: 'redis://elsewhere', MUSTER_POOLS: 'none:2,bubblewrap:2' }).said).toContain(
    'bubblewrap is missing',
  )
})

test('a worker or a gateway elsewhere is brought to life without a Redis of its own', () => {
  const worker = machine({ programs: { bwrap: THERE } }).run('worker')
  expect([worker.status, worker.said]).toEqual([0, expect.stringContaining('started apps/worker/src/main.ts')])
  expect(worker.calls).toContain('npm ci --ignore-scripts')
  const bare = machine({}).run('worker')
  expect([bare.status, bare.said]).toEqual([0, expect.stringContaining('MUSTER_POOLS=none:4 npm run worker')])
  const gateway = machine({}).run('gateway')
  expect([gateway.status, gateway.said]).toEqual([0, expect.stringContaining('started apps/gateway/src/main.ts')])
  expect(gateway.said).not.toContain('bubblewrap is missing')
})

test('what was unpacked and does not run counts as missing', () => {
  const broken = DPKG.replace('echo unpacked', 'exit 127')
  const { status, said } = machine({ programs: { 'apt-get': APT, dpkg: broken } }).run('up')
  expect([status, said]).toEqual([1, expect.stringContaining('Redis is missing')])
})

test('tests need a sandbox, and a Redis of their own', () => {
  expect(machine({ programs: { 'redis-server': THERE } }).run('test')).toMatchObject({
    status: 1,
    said: expect.stringContaining('bubblewrap is missing, which the tests need'),
  })
  const elsewhere = machine({ programs: { bwrap: THERE } }).run('test', { REDIS_URL: 'redis://elsewhere' })
  expect([elsewhere.status, elsewhere.said]).toEqual([1, expect.stringContaining('Redis is missing')])
})

test('verify needs neither', () => {
  const { status, said } = machine({}).run('verify')
  expect([status, said]).toEqual([0, expect.stringContaining('started node_modules/turbo')])
})

test('on macOS Homebrew brings Redis; without it the command is named', () => {
  const brew = `printf '#!/bin/sh\\n' >"$MACHINE/redis-server"; chmod 755 "$MACHINE/redis-server"`
  const { status, said, calls } = machine({ system: 'Darwin', programs: { brew } }).run('up')
  expect(status).toBe(0)
  expect(calls).toContain('brew install redis')
  expect(said).toContain('It is there for Linux only.')
  expect(said).toContain('started apps/cli')
  const bare = machine({ system: 'Darwin' }).run('up')
  expect([bare.status, bare.said]).toEqual([1, expect.stringContaining('Install it with: brew install redis\n')])
})

test('a word that it does not know is refused with those it knows', () => {
  const { status, said } = machine({ programs: { 'redis-server': THERE, bwrap: THERE } }).run('dance')
  expect([status, said]).toEqual([
    1,
    expect.stringContaining("unknown word 'dance': use up, migrate, worker, gateway, test, prove, bench or verify"),
  ])
})
