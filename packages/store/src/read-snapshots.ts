import { keptValueSchema, type Snapshot, snapshotSchema } from '@muster/contracts'
import type { Database } from './database.ts'
import { ordinaryRead } from './ordinary-read.ts'
import { type Page, type PageRequest, pageFrom } from './page.ts'

const RESOURCE = snapshotSchema.extend({ state: keptValueSchema.nullable() })

/** The snapshots of a run, newest first; `before` is a number. */
export async function listSnapshots({ prisma }: Database, runId: string, page: PageRequest): Promise<Page<Snapshot>> {
  const rows = await ordinaryRead(() =>
    prisma.snapshot.findMany({
      where: { runId, ...(page.before === null ? {} : { seq: { lt: Number(page.before) } }) },
      orderBy: { seq: 'desc' },
      take: page.limit + 1,
    }),
  )
  return pageFrom(
    rows,
    page,
    (row) => String(row.seq),
    (row) =>
      RESOURCE.parse({
        id: `snp_${row.runId.slice('run_'.length)}-${row.seq}`,
        run_id: row.runId,
        attempt: row.attempt,
        seq: row.seq,
        status: row.status,
        state: row.state,
        at: row.at.toISOString(),
      }),
  )
}
