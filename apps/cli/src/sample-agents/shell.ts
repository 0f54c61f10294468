import { readFileSync } from 'node:fs'
import type { CreateAgent } from '@muster/contracts'

/** Runs the message as a bash script in `/workspace`. */
export const shell: CreateAgent = {
  key: 'shell',
  name: 'Shell: runs the message as a bash script',
  config: {
    runner: 'process',
    command: ['sh', '-c', 'exec sh "$MUSTER_AGENT_FOLDER/shell.sh"'],
    files: { 'shell.sh': readFileSync(new URL('shell.sh', import.meta.url), 'utf8') },
  },
}
