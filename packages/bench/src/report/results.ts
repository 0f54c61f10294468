import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { z } from 'zod'
import type { MeasureSize } from '../measure.ts'
import type { Cell } from './cell.ts'

const spreadSchema = z.strictObject({ median: z.number(), min: z.number(), max: z.number() })

/** What a run leaves behind for other programs. */
export const resultsSchema = z.strictObject({
  measured_at: z.iso.datetime(),
  cells: z.array(
    z.strictObject({
      name: z.string().min(1),
      unit: z.string(),
      muster: spreadSchema,
      baseline: spreadSchema.optional(),
      ratio: z.number().optional(),
      goal: z.strictObject({ text: z.string(), reached: z.boolean() }).optional(),
      /** How much was measured. */
      size: z.enum(['full', 'quick', 'trial']),
    }),
  ),
})

export type Results = z.infer<typeof resultsSchema>

export function resultsOf(cells: readonly Cell[], size: MeasureSize): Results {
  return resultsSchema.parse({
    measured_at: new Date().toISOString(),
    cells: cells.map((cell) => ({ ...cell, size })),
  })
}

/** Replaces the file in one step. */
export function writeResults(path: string, results: Results): void {
  mkdirSync(dirname(path), { recursive: true })
  const draft = `${path}.${process.pid}`
  writeFileSync(draft, `${JSON.stringify(results, null, 2)}\n`)
  renameSync(draft, path)
}
