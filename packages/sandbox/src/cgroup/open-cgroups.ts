import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { readdir, rmdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { ResourceName, Resources } from '@muster/contracts'
import { groupMarker, parseGroupMarker, type SandboxGroup } from '../sandbox-group.ts'
import { type AttemptCgroup, attemptCgroup, pidsBelow, removeCgroup } from './attempt-cgroup.ts'
import { type CgroupHierarchy, findCgroupHierarchies, findCgroupRoots } from './cgroup-hierarchies.ts'
import { cgroupParent } from './cgroup-parent.ts'
import { type CgroupSetting, cgroupSettings } from './cgroup-settings.ts'
import { createMoveHurry } from './hurry-moves.ts'
import { makeCgroup } from './make-cgroup.ts'
import { prepareParent } from './prepare-parent.ts'

/** The part of this host's control groups that sandboxes may be bounded by. */
export type Cgroups = {
  readonly resources: ReadonlySet<ResourceName>
  /** Why a resource cannot be bounded here, for those that cannot. */
  readonly missing: readonly string[]
  /** Makes the group of an attempt with its limits set; rejects rather than leave one of them out. */
  open(group: SandboxGroup, resources: Resources, spareProcesses: number): Promise<AttemptCgroup>
  /** The group of an attempt that a runtime makes itself, in whatever trees: to look into, end and remove. */
  adopt(group: SandboxGroup): AttemptCgroup
  /** Before a runtime makes an attempt's group itself: makes the part of it whose limits on sockets no runtime sets. */
  boundSockets(group: SandboxGroup, resources: Resources): Promise<void>
  /** What the attempt's group really bounds by now: something is in it and its limits read as they should. */
  boundIn(group: SandboxGroup, resources: Resources, spareProcesses: number): ReadonlySet<ResourceName>
  /** The folder of an attempt's group in each tree. */
  pathsOf(group: SandboxGroup): readonly string[]
  /** Removes empty groups older than a minute (or than told), left by workers that died; answers how many. */
  removeLeftovers(olderThanMs?: number): Promise<number>
}

const TRIAL: Resources = { cpu: 1, memory_mb: 64, pids: 16, disk_mb: 1 }
const LEFTOVER_MS = 60_000

const NOTHING: Cgroups = {
  resources: new Set(),
  missing: [],
  open: async () => attemptCgroup([], null),
  adopt: () => attemptCgroup([], null),
  boundSockets: async () => undefined,
  boundIn: () => new Set(),
  pathsOf: () => [],
  removeLeftovers: async () => 0,
}

export type CgroupsOptions = {
  /** `hidden`: as on a host without control groups. */
  readonly mode?: 'auto' | 'hidden'
  readonly hierarchies?: readonly CgroupHierarchy[]
}

/** Tries, tree by tree, to make a group and set its limits, and keeps the trees where that works. */
export async function openCgroups(options: CgroupsOptions = {}): Promise<Cgroups> {
  if (options.mode === 'hidden') return NOTHING
  const usable: CgroupHierarchy[] = []
  const missing: string[] = []
  for (const hierarchy of options.hierarchies ?? findCgroupHierarchies()) {
    try {
      await prepareParent(hierarchy)
      const trial = join(cgroupParent(hierarchy.root), `trial-${randomUUID()}`)
      await makeCgroup(trial, hierarchy, TRIAL, 0).finally(() => void rmdir(trial).catch(() => undefined))
      usable.push(hierarchy)
    } catch (error) {
      missing.push(`${hierarchy.resources.join(', ')}: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
  const resources: ReadonlySet<ResourceName> = new Set(usable.flatMap((one) => one.resources))
  const roots = findCgroupRoots()
  const hurryMoves = createMoveHurry(usable)
  const pathsOf = (group: SandboxGroup) => usable.map((one) => join(cgroupParent(one.root), groupMarker(group)))

  function cgroupIn(trees: readonly string[], group: SandboxGroup): AttemptCgroup {
    const memory = usable.find((one) => one.resources.includes('memory_mb'))
    const folderIn = (root: string) => join(cgroupParent(root), groupMarker(group))
    return attemptCgroup(trees.map(folderIn), memory === undefined ? null : folderIn(memory.root))
  }

  async function open(group: SandboxGroup, wanted: Resources, spareProcesses: number): Promise<AttemptCgroup> {
    const folders = pathsOf(group)
    const cgroup = cgroupIn(
      usable.map((one) => one.root),
      group,
    )
    try {
      await Promise.all(
        usable.map((hierarchy, index) => makeCgroup(folders[index] ?? '', hierarchy, wanted, spareProcesses)),
      )
    } catch (error) {
      void cgroup.end()
      throw error
    }
    // Not before: while the kernel waits for a move it makes no group.
    hurryMoves()
    return cgroup
  }

  async function boundSockets(group: SandboxGroup, wanted: Resources): Promise<void> {
    // On version 2 what lies in sockets is memory like any other.
    const memory = usable.find((one) => one.version === 1 && one.resources.includes('memory_mb'))
    if (memory !== undefined) await makeCgroup(join(cgroupParent(memory.root), groupMarker(group)), memory, wanted, 0)
  }

  function boundIn(group: SandboxGroup, wanted: Resources, spareProcesses: number): ReadonlySet<ResourceName> {
    const bound = usable.flatMap((hierarchy) => {
      const folder = join(cgroupParent(hierarchy.root), groupMarker(group))
      if (pidsBelow(folder).length === 0) return []
      return hierarchy.resources.filter((resource) =>
        isSet(folder, cgroupSettings(hierarchy.version, resource, wanted, spareProcesses)),
      )
    })
    return new Set(bound)
  }

  async function removeLeftovers(olderThanMs = LEFTOVER_MS): Promise<number> {
    let removed = 0
    for (const root of roots) {
      const parent = cgroupParent(root)
      for (const name of await readdir(parent).catch(() => [])) {
        const folder = join(parent, name)
        const made = parseGroupMarker(name) === null ? null : await stat(folder).catch(() => null)
        if (made === null || Date.now() - made.mtimeMs < olderThanMs || pidsBelow(folder).length > 0) continue
        if (await removeCgroup(folder)) removed += 1
      }
    }
    return removed
  }

  const adopt = (group: SandboxGroup) => cgroupIn(roots, group)
  return { resources, missing, open, adopt, boundSockets, boundIn, pathsOf, removeLeftovers }
}

function isSet(folder: string, settings: readonly CgroupSetting[]): boolean {
  return settings.every(({ file, value, optional }) => {
    try {
      return optional === true || readFileSync(join(folder, file), 'utf8').trim() === value
    } catch {
      return false
    }
  })
}
