import pg from 'pg'

export type OpenTransaction = {
  readonly client: pg.Client
  /** Ends it, so that what waits for it goes on. */
  commit(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** A transaction over a connection of its own that has run these statements, for staging what waits for it. A test that fails rolls it back. */
export async function openTransaction(url: string, ...statements: readonly string[]): Promise<OpenTransaction> {
  const client = new pg.Client({ connectionString: url })
  try {
    await client.connect()
    for (const statement of ['BEGIN', ...statements]) await client.query(statement)
  } catch (error) {
    await client.end()
    throw error
  }
  return {
    client,
    async commit() {
      await client.query('COMMIT')
      await client.end()
    },
    [Symbol.asyncDispose]: () => client.end(),
  }
}
