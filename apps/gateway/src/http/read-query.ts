import type { Fault } from '@muster/contracts'
import { AppError } from '@muster/core'
import { isApiKeySecret } from '../api-key-secret.ts'
import { pointerTo } from './faults-of.ts'

const KEY_NAMES = /^(api_?key|access_token|token|authorization)$/i

/** The parameters of a URL's query, each at most once. Refuses API keys there: URLs end up in logs. */
export function readQuery(url: string): Readonly<Record<string, string>> {
  const start = url.indexOf('?')
  if (start === -1) return {}
  const values: Record<string, string> = Object.create(null)
  const faults: Fault[] = []
  for (const [name, value] of new URLSearchParams(url.slice(start))) {
    if (KEY_NAMES.test(name) || isApiKeySecret(value)) throw keyInUrl()
    if (name in values) faults.push({ pointer: pointerTo('query', [name]), detail: 'given more than once' })
    values[name] = value
  }
  if (faults.length > 0) throw new AppError('invalid_request', 'a query parameter is given more than once', { faults })
  return { ...values }
}

const keyInUrl = (): AppError =>
  new AppError('invalid_request', 'send the API key in the header Authorization, never in the URL')
