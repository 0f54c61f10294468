/** A worker's pool, its beat and one to spare. */
const OF_A_WORKER = 8
/** Gateways, migrations and whoever looks in. */
const OF_OTHERS = 100
const LEAST = 200

/** Settings of the embedded Postgres, which has room for the connections of every worker at once. */
export function postgresSettings(workers: number): Readonly<Record<string, string>> {
  return { max_connections: String(Math.max(LEAST, OF_OTHERS + workers * OF_A_WORKER)) }
}
