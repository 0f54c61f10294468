import { hash, timingSafeEqual } from 'node:crypto'
import type { MiddlewareHandler } from 'hono'

const BASIC = /^Basic +([A-Za-z0-9+/=]+) *$/i
/** Nothing is loaded from anywhere else, and nobody may frame or read the pages. */
const HEADERS = {
  'cache-control': 'no-store',
  'content-security-policy':
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; base-uri 'self'",
  'x-frame-options': 'DENY',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
}

/**
 * Lets in whoever signs in with the admin token as the password (any user). A request that another site caused gets nothing, although the
 * browser adds the password to it by itself.
 */
export function boardGuard(adminToken: string): MiddlewareHandler {
  const digest = hash('sha256', adminToken, 'buffer')
  return async (c, next) => {
    if (!fromHere(c.req.raw)) return c.text('another site may not ask this\n', 403, HEADERS)
    const given = passwordOf(c.req.header('authorization'))
    if (given === null || !timingSafeEqual(hash('sha256', given, 'buffer'), digest))
      return c.text('sign in with the admin token as the password\n', 401, {
        ...HEADERS,
        'www-authenticate': 'Basic realm="Muster", charset="UTF-8"',
      })
    await next()
    for (const [name, value] of Object.entries(HEADERS)) c.res.headers.set(name, value)
    return undefined
  }
}

function passwordOf(authorization: string | undefined): string | null {
  const encoded = BASIC.exec(authorization ?? '')?.[1]
  if (encoded === undefined) return null
  const decoded = Buffer.from(encoded, 'base64').toString('utf8')
  const colon = decoded.indexOf(':')
  return colon < 0 ? null : decoded.slice(colon + 1)
}

/** Browsers say where a request comes from: `Sec-Fetch-Site` on safe connections, `Origin` on every change. Programs say neither. */
function fromHere({ headers, url }: Request): boolean {
  const site = headers.get('sec-fetch-site')
  if (site !== null && site !== 'same-origin' && site !== 'none') return false
  const origin = headers.get('origin')
  if (origin === null) return true
  if (!URL.canParse(origin)) return false
  const { protocol, host } = new URL(origin)
  // a proxy may name the port that the scheme implies
  const own = `${protocol}//${headers.get('host') ?? new URL(url).host}`
  return URL.canParse(own) && new URL(own).host === host
}
