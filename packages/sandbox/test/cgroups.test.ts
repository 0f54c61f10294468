import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { newId } from '@muster/core'
import { describe, expect, it } from 'vitest'
import { type CgroupHierarchy, findCgroupHierarchies } from '../src/cgroup/cgroup-hierarchies.ts'
import { cgroupSettings } from '../src/cgroup/cgroup-settings.ts'
import { openCgroups } from '../src/cgroup/open-cgroups.ts'
import { makeSpec } from './place.ts'

const RESOURCES = { cpu: 0.5, memory_mb: 64, pids: 16, disk_mb: 1 }
const here = await openCgroups()
const reason = 'this host has no control groups that may be written'

const isSeparateMemory = ({ version, resources }: CgroupHierarchy) => version === 1 && resources.includes('memory_mb')

describe('what bounds a sandbox', () => {
  it('is found in the trees of version 1, one a controller', () => {
    const mountinfo = `30 25 0:26 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu,cpuacct
31 25 0:27 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
32 25 0:28 / /sys/fs/cgroup/pids\\040x rw,relatime shared:4 - cgroup cgroup rw,pids
33 25 0:29 / /nonexistent/unified rw,relatime - cgroup2 cgroup2 rw`
    expect(findCgroupHierarchies(mountinfo)).toEqual([
      { version: 1, root: '/sys/fs/cgroup/cpu', resources: ['cpu'] },
      { version: 1, root: '/sys/fs/cgroup/memory', resources: ['memory_mb'] },
      { version: 1, root: '/sys/fs/cgroup/pids x', resources: ['pids'] },
    ])
    expect(findCgroupHierarchies('25 1 0:20 / / rw - ext4 /dev/vda rw')).toEqual([])
  })

  it('is written as each version wants it, with swap off', () => {
    const lines = (version: 1 | 2) =>
      (['cpu', 'memory_mb', 'pids'] as const).flatMap((resource) =>
        cgroupSettings(version, resource, RESOURCES, 2).map(({ file, value }) => `${file}=${value}`),
      )
    expect(lines(2)).toEqual(['cpu.max=50000 100000', 'memory.max=67108864', 'memory.swap.max=0', 'pids.max=18'])
    expect(lines(1)).toContain('memory.memsw.limit_in_bytes=67108864')
    expect(lines(1)).toContain('memory.kmem.tcp.limit_in_bytes=67108864')
    expect(lines(1)).toContain('cpu.cfs_quota_us=50000')
  })

  it('is never looser than the policy says, and refused where it would be', () => {
    const settingsOf = (version: 1 | 2, over: Partial<typeof RESOURCES>) =>
      (['cpu', 'pids'] as const).flatMap((name) => cgroupSettings(version, name, { ...RESOURCES, ...over }, 1))
    expect(settingsOf(2, { cpu: 0.002 })[0]?.value).toBe('1000 500000')
    expect(settingsOf(1, { cpu: 0.002 }).map((one) => one.value)).toEqual(['500000', '1000', '17'])
    expect(settingsOf(2, { cpu: 1024, pids: 4_194_304 }).map((one) => one.value)).toEqual([
      '102400000 100000',
      '4194304',
    ])
    expect(() => settingsOf(2, { cpu: 0.0005 })).toThrow('less than can be held')
  })

  it('holds nothing when it is hidden', async () => {
    expect([...(await openCgroups({ mode: 'hidden' })).resources]).toEqual([])
    expect([...(await openCgroups({ hierarchies: [] })).resources]).toEqual([])
  })

  it('says why a tree cannot be used', async () => {
    const { missing, resources } = await openCgroups({
      hierarchies: [{ version: 1, root: '/nonexistent', resources: ['pids'] }],
    })
    expect(resources.size).toBe(0)
    expect(missing).toEqual([expect.stringContaining('pids: ENOENT')])
  })
})

describe.skipIf(here.resources.size === 0)(`the group of an attempt (skipped where ${reason})`, () => {
  it('has its limits before anything is in it, kills what is in it and is gone at the end', async () => {
    const { group } = makeSpec()
    const cgroup = await here.open(group, RESOURCES, 2)
    const paths = here.pathsOf(group)
    expect(paths.some((path) => path.includes(`/muster/`) && path.includes(`${group.runId}:`))).toBe(true)
    for (const path of paths)
      if (path.includes('/pids/')) expect(readFileSync(join(path, 'pids.max'), 'utf8')).toBe('18\n')
    const child = spawn('/bin/sleep', ['1000'], { stdio: 'ignore' })
    await once(child, 'spawn')
    await cgroup.join(child.pid ?? 0)
    expect(cgroup.pids()).toEqual([child.pid])
    const exited = once(child, 'exit')
    expect(await cgroup.end()).toEqual({ memoryKills: 0 })
    expect((await exited)[1]).toBe('SIGKILL')
    expect(paths.filter((path) => existsSync(path))).toEqual([])
    expect(await cgroup.end()).toEqual({ memoryKills: 0 })
  })

  it('that a runtime makes has its limit on sockets before, where the kernel takes them for no memory', async () => {
    const { group } = makeSpec()
    await here.boundSockets(group, RESOURCES)
    const made = here.pathsOf(group).filter((path) => existsSync(path))
    expect(made).toHaveLength(findCgroupHierarchies().some(isSeparateMemory) ? 1 : 0)
    for (const path of made)
      expect(readFileSync(join(path, 'memory.kmem.tcp.limit_in_bytes'), 'utf8')).toBe('67108864\n')
    await here.adopt(group).end()
    expect(made.filter((path) => existsSync(path))).toEqual([])
  })

  it('is made anew when one of its name is left', async () => {
    const { group } = makeSpec()
    await here.open(group, RESOURCES, 2)
    const again = await here.open(group, { ...RESOURCES, pids: 20 }, 0)
    const pids = here.pathsOf(group).find((path) => path.includes('/pids/'))
    if (pids !== undefined) expect(readFileSync(join(pids, 'pids.max'), 'utf8')).toBe('20\n')
    await again.end()
  })

  it('of a worker that died is removed when it is old and empty, and only then', async () => {
    const group = { runId: newId('run'), sessionId: null, generation: 1 }
    const cgroup = await here.open(group, RESOURCES, 2)
    const child = spawn('/bin/sleep', ['1000'], { stdio: 'ignore' })
    await once(child, 'spawn')
    await cgroup.join(child.pid ?? 0)
    const remaining = () => here.pathsOf(group).filter((path) => existsSync(path)).length
    const whole = remaining()
    await here.removeLeftovers(-1_000)
    expect(remaining()).toBe(whole)
    child.kill('SIGKILL')
    await once(child, 'exit')
    await here.removeLeftovers()
    expect(remaining()).toBe(whole)
    await here.removeLeftovers(-1_000)
    expect(remaining()).toBe(0)
  })
})
