/** JSON as it was written: checked before it was stored, so reading looks no deeper than its outermost shape. */
export { keptObjectSchema as storedObject, keptValueSchema as storedValue } from '@muster/contracts'
