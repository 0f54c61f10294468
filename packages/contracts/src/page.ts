import { z } from 'zod'

/** How many items a page may have at most, in decimal digits alone: where they are large it has fewer, while there is more. */
export const limitSchema = ({ max, unlessTold }: { readonly max: number; readonly unlessTold: number }) =>
  z
    .preprocess(
      (text) => (typeof text === 'string' && /^\d+$/.test(text) ? Number(text) : Number.NaN),
      z.int({ error: 'must be a number in decimal digits' }).min(1, outside(max)).max(max, outside(max)),
    )
    .default(unlessTold)
    // the API document shows no default of what is preprocessed
    .meta({ override: { default: unlessTold, description: 'At most so many; fewer where they are large' } })

const outside = (max: number) => ({ error: `must be 1 to ${max}` })

/** Keyset pages, newest first. `cursor` is opaque. */
export const pageQuerySchema = z.strictObject({
  limit: limitSchema({ max: 200, unlessTold: 50 }),
  cursor: z.string().max(512).optional(),
})

export const pageOf = <Item extends z.ZodType>(item: Item) =>
  z.object({ data: z.array(item), next_cursor: z.string().nullable(), has_more: z.boolean() })
