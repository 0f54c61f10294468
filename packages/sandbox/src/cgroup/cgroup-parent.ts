import { join } from 'node:path'

const PARENT = 'muster'

/** The folder of a tree that the groups of all attempts lie in. */
export const cgroupParent = (root: string): string => join(root, PARENT)
