import { DEFAULT_POLICY, RESOURCE_NAMES, resourcesSchema } from '@muster/contracts'
import type { Ceilings } from '@muster/core'
import { z } from 'zod'

const SHAPE = `must look like memory_mb:4096,pids:1024 with each of ${RESOURCE_NAMES.join(', ')} at most once`

/** The most of each resource that a run may have. None may be below what a run has that names none. */
export const envCeilings = z.string().transform((text, context): Ceilings => {
  const pairs = text.split(',').map((part) => part.trim().split(':'))
  const given = Object.fromEntries(
    pairs.map(([name = '', most = '']) => [name, /^[\d.]+$/.test(most) ? Number(most) : most]),
  )
  const parsed = resourcesSchema.partial().safeParse(given)
  if (!parsed.success || pairs.some((pair) => pair.length !== 2) || Object.keys(given).length !== pairs.length) {
    context.addIssue(SHAPE)
    return z.NEVER
  }
  for (const name of RESOURCE_NAMES) {
    const [most, usual] = [parsed.data[name], DEFAULT_POLICY.resources[name]]
    if (most !== undefined && most < usual)
      context.addIssue(`${name} must be at least ${usual}, which a run has that names none`)
  }
  return parsed.data
})
