/** Measures Muster, and beside it the baseline: `npm run bench`, or `npm run bench -- --quick --only drain,gate`. */
import { parseArgs } from 'node:util'
import { accept } from './cells/accept.ts'
import { drain } from './cells/drain.ts'
import { startLatency } from './cells/start.ts'
import { startServers } from './fleet/servers.ts'
import type { Measure } from './measure.ts'
import type { Cell } from './report/cell.ts'
import { formatTable } from './report/table.ts'

const CELLS = { accept, drain, start: startLatency }

const { values } = parseArgs({
  options: { quick: { type: 'boolean' }, only: { type: 'string' }, rounds: { type: 'string' } },
})
const quick = values.quick ?? false
const measure: Measure = {
  rounds: Number(values.rounds ?? (quick ? 1 : 3)),
  size: (sizes) => (quick ? sizes.quick : sizes.full),
}
const only = values.only?.split(',')
const cells: Cell[] = []
for (const [name, cell] of Object.entries(CELLS)) {
  if (only !== undefined && !only.includes(name)) continue
  await using servers = await startServers()
  cells.push(...(await cell(servers, measure)))
  process.stdout.write(`${formatTable(cells)}\n`)
}
