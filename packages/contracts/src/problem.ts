import { z } from 'zod'
import { agentContractSchema } from './agent-contract.ts'
import { errorCodeSchema } from './error-codes.ts'

/** One fault of a request: where (JSON pointer into the body, or `query/<name>`, `header/<name>`, `path/<name>`) and what. */
export const faultSchema = z.object({ pointer: z.string(), detail: z.string() })
export type Fault = z.infer<typeof faultSchema>

/** RFC 9457 `application/problem+json`. */
export const problemSchema = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  code: errorCodeSchema,
  request_id: z.string(),
  retryable: z.boolean(),
  retry_after_ms: z.int().optional(),
  /** How much the limit allows that refused the request, and none of which is left. */
  limit: z.int().optional(),
  errors: z.array(faultSchema).optional(),
  agent_contract: agentContractSchema,
})
export type Problem = z.infer<typeof problemSchema>
