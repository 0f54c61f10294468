import { hash, timingSafeEqual } from 'node:crypto'

/** Whether a request may read the metrics: anyone where no token is set, else whoever sends it as `Authorization: Bearer`. */
export function mayScrape(token: string | null, authorization: string | null | undefined): boolean {
  if (token === null) return true
  const given = /^Bearer +(\S+) *$/i.exec(authorization ?? '')?.[1]
  return given !== undefined && timingSafeEqual(hash('sha256', given, 'buffer'), hash('sha256', token, 'buffer'))
}
