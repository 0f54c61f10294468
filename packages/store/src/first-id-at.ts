import { ID_PREFIXES, type IdKind } from '@muster/contracts'

const DIGITS = '0123456789abcdefghjkmnpqrstvwxyz'
const TIME_DIGITS = 10
const RANDOM_DIGITS = 16
const TIME_MS_MAX = 2 ** 48 - 1

/** The smallest id of a kind that can have been made at a time; ids compare as text. */
export function firstIdAt(kind: IdKind, at: Date): string {
  let rest = Math.min(Math.max(at.getTime(), 0), TIME_MS_MAX)
  let time = ''
  for (let place = 0; place < TIME_DIGITS; place++) {
    time = `${DIGITS[rest % 32]}${time}`
    rest = Math.floor(rest / 32)
  }
  return `${ID_PREFIXES[kind]}_${time}${'0'.repeat(RANDOM_DIGITS)}`
}
