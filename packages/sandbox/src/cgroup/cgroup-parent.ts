import { join } from 'node:path'
import type { CgroupHierarchy } from './cgroup-hierarchies.ts'

const PARENT = 'muster'

/** The folder of a tree that the groups of all attempts lie in. */
export const cgroupParent = (hierarchy: CgroupHierarchy): string => join(hierarchy.root, PARENT)
