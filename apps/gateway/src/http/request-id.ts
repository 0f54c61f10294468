import { newId } from '@muster/core'

const SANE = /^[A-Za-z0-9._:-]{1,128}$/

/** The client's `X-Request-Id` where it is sane, else a new one. */
export const requestIdOf = (given: string | null): string =>
  given !== null && SANE.test(given) ? given : newId('request')
