import { z } from 'zod'

/** The configuration is at fault; the message names each variable and what it should be. An app prints it and exits with code 2. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

/**
 * Reads configuration from environment variables, all faults reported together. White space around a value,
 * such as the line end of a file that holds a secret, is no part of it; a variable set to nothing counts as not set. Values are not repeated
 * in messages, since they may be secrets.
 */
export function parseEnv<Schema extends z.ZodType>(
  schema: Schema,
  env: Readonly<Record<string, string | undefined>>,
): z.infer<Schema> {
  const given = Object.fromEntries(
    Object.entries(env)
      .map(([name, value]) => [name, value?.trim()] as const)
      .filter(([, value]) => value !== undefined && value !== ''),
  )
  const parsed = schema.safeParse(given)
  if (parsed.success) return parsed.data
  const faults = parsed.error.issues.map(
    (issue) => `  ${issue.path.join('.') || 'environment'}: ${describe(issue, given)}`,
  )
  throw new ConfigError(`the configuration is at fault:\n${faults.join('\n')}`)
}

function describe(issue: z.core.$ZodIssue, given: Readonly<Record<string, unknown>>): string {
  const missing = issue.code === 'invalid_type' && issue.path.length > 0 && !(String(issue.path[0]) in given)
  return missing ? 'must be set' : issue.message
}
