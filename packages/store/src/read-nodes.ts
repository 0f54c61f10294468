import { type Node, nodeSchema } from '@muster/contracts'
import type { Database } from './database.ts'
import type { Node as NodeRow } from './generated/client.ts'
import { ordinaryRead } from './ordinary-read.ts'
import { type Page, type PageRequest, pageFrom } from './page.ts'

/** Every node that ever registered, newest first. */
export async function listNodes(
  { prisma }: Database,
  status: string | undefined,
  page: PageRequest,
): Promise<Page<Node>> {
  const rows = await ordinaryRead(() =>
    prisma.node.findMany({
      where: {
        ...(status === undefined ? {} : { status }),
        ...(page.before === null ? {} : { id: { lt: page.before } }),
      },
      orderBy: { id: 'desc' },
      take: page.limit + 1,
    }),
  )
  return pageFrom(rows, page, (row) => row.id, nodeOf)
}

const nodeOf = (row: NodeRow): Node =>
  nodeSchema.parse({
    id: row.id,
    host: row.host,
    pid: row.pid,
    address: row.address,
    pools: row.pools,
    labels: row.labels,
    metadata: row.metadata,
    used: row.used,
    status: row.status,
    registered_at: row.registeredAt.toISOString(),
    last_beat_at: row.lastBeatAt.toISOString(),
    version: row.version,
  })
