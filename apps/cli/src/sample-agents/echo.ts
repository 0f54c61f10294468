import type { CreateAgent } from '@muster/contracts'

/** Prints the message. The start line of the protocol comes on standard input; what an agent prints is its output. */
export const echo: CreateAgent = {
  key: 'echo',
  name: 'Echo: prints the message',
  config: {
    runner: 'process',
    command: ['sh', '-c', `head -n 1 | node -p 'JSON.parse(require("node:fs").readFileSync(0, "utf8")).message'`],
  },
}
