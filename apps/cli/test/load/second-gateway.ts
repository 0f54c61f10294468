import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { FleetFacts } from '@muster/testkit'

export type SecondGateway = {
  readonly url: string
  readonly pid: number
  kill(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

const PROGRAM = fileURLToPath(new URL('../../../gateway/src/main.ts', import.meta.url))

/** One more gateway of a fleet that runs, on a port of its own. */
export async function startSecondGateway(
  facts: FleetFacts,
  env: Readonly<Record<string, string>> = {},
): Promise<SecondGateway> {
  const child = spawn(process.execPath, [PROGRAM], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      PATH: process.env['PATH'],
      NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'],
      DATABASE_URL: facts.database_url,
      REDIS_URL: facts.redis_url,
      MUSTER_ADMIN_TOKEN: facts.admin_token,
      MUSTER_PORT: '0',
      ...env,
    },
  })
  const url = await new Promise<string>((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`the gateway ended with ${code}`)))
    createInterface({ input: child.stdout }).on('line', (line) => {
      const said: { msg?: string; url?: string } = JSON.parse(line)
      if (said.msg === 'listening' && said.url !== undefined) resolve(said.url)
    })
  })
  const exited = once(child, 'exit')
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL')
    await exited
  }
  return { url, pid: child.pid ?? 0, kill, [Symbol.asyncDispose]: kill }
}
