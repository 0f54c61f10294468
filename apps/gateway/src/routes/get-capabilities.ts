import {
  ATTACHMENTS_MAX,
  BATCH_COMMANDS_MAX,
  BODY_BYTES_MAX,
  ERROR_CODES,
  FAILURE_CODES,
  NEXT_ACTIONS,
  POOLS,
  ROUTES,
} from '@muster/contracts'
import { RUN_LIFECYCLE, TASK_LIFECYCLE } from '@muster/core'
import type { Handler } from '../handler.ts'

export const getCapabilities: Handler<typeof ROUTES.getCapabilities> = async () => ({
  status: 200,
  body: {
    authentication: { scheme: 'bearer', header: 'Authorization', prefix: 'mst_' },
    lifecycles: { task: lists(TASK_LIFECYCLE), run: lists(RUN_LIFECYCLE) },
    error_codes: Object.fromEntries(Object.entries(ERROR_CODES).map(([code, kind]) => [code, { ...kind }])),
    failure_codes: [...FAILURE_CODES],
    next_actions: [...NEXT_ACTIONS],
    pools: [...POOLS],
    limits: {
      body_bytes: BODY_BYTES_MAX,
      batch_bytes: ROUTES.postBatch.bodyBytesMax,
      batch_commands: BATCH_COMMANDS_MAX,
      attachments: ATTACHMENTS_MAX,
      page_items: 200,
      event_page_items: 1000,
      prefer_wait_seconds: 60,
    },
  },
})

const lists = (lifecycle: Readonly<Record<string, readonly string[]>>) =>
  Object.fromEntries(Object.entries(lifecycle).map(([status, next]) => [status, [...next]]))
