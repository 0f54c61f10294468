import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** What a control group can bound, by the names of a policy. */
export type CgroupResource = 'cpu' | 'memory_mb' | 'pids'

/** A mounted tree of control groups and what it can bound. Version 1 has one tree a controller, version 2 one for all. */
export type CgroupHierarchy = {
  readonly version: 1 | 2
  readonly root: string
  readonly resources: readonly CgroupResource[]
}

const CONTROLLERS = { cpu: 'cpu', memory_mb: 'memory', pids: 'pids' } as const satisfies Record<CgroupResource, string>
const RESOURCES = ['cpu', 'memory_mb', 'pids'] as const

export const controllerOf = (resource: CgroupResource): string => CONTROLLERS[resource]

type Mount = { readonly point: string; readonly type: string; readonly controllers: readonly string[] }

/** The trees that bound cpu, memory and pids on this host: version 2 where it has the controller, else version 1. */
export function findCgroupHierarchies(mountinfo = readFileSync('/proc/self/mountinfo', 'utf8')): CgroupHierarchy[] {
  const mounts = mountsIn(mountinfo)
  const hierarchies = new Map<string, { version: 1 | 2; root: string; resources: CgroupResource[] }>()
  for (const resource of RESOURCES) {
    const controller = CONTROLLERS[resource]
    const mount =
      mounts.find((one) => one.type === 'cgroup2' && one.controllers.includes(controller)) ??
      mounts.find((one) => one.type === 'cgroup' && one.controllers.includes(controller))
    if (mount === undefined) continue
    const known = hierarchies.get(mount.point)
    if (known === undefined) {
      const version = mount.type === 'cgroup2' ? 2 : 1
      hierarchies.set(mount.point, { version, root: mount.point, resources: [resource] })
    } else known.resources.push(resource)
  }
  return [...hierarchies.values()]
}

/** The roots of all trees of this host, in which a runtime may make groups that bound nothing. */
export function findCgroupRoots(mountinfo = readFileSync('/proc/self/mountinfo', 'utf8')): string[] {
  return [...new Set(mountsIn(mountinfo).map((mount) => mount.point))]
}

function mountsIn(mountinfo: string): Mount[] {
  const mounts: Mount[] = []
  for (const line of mountinfo.split('\n')) {
    const [before = '', after = ''] = line.split(' - ')
    const point = before
      .split(' ')[4]
      ?.replace(/\\([0-7]{3})/g, (_, code) => String.fromCharCode(Number.parseInt(code, 8)))
    const [type = '', , options = ''] = after.split(' ')
    if (point === undefined) continue
    if (type === 'cgroup') mounts.push({ point, type, controllers: options.split(',') })
    if (type === 'cgroup2') mounts.push({ point, type, controllers: controllersIn(point) })
  }
  return mounts
}

function controllersIn(root: string): readonly string[] {
  try {
    return readFileSync(join(root, 'cgroup.controllers'), 'utf8').trim().split(' ')
  } catch {
    return []
  }
}
