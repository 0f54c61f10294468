import { readFile, readlink } from 'node:fs/promises'

/**
 * Equal for two processes exactly when one can see and kill what the other started: same boot of the same kernel, same
 * pid namespace. The number of a pid namespace is used again only after every process of it is gone.
 */
export async function hostIdentity(): Promise<string> {
  const [bootId, namespace] = await Promise.all([
    readFile('/proc/sys/kernel/random/boot_id', 'utf8'),
    readlink('/proc/self/ns/pid'),
  ])
  return `${bootId.trim()}/${namespace}`
}
