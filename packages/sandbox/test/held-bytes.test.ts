import { expect, it } from 'vitest'
import { heldBytes } from '../src/disk/held-bytes.ts'

const look = (bytes: number, freeBytes: number, unseen = false) => ({ bytes, freeBytes, unseen })
/** Looks in a row with something unseen that prove nothing yet. */
const first = [900, 800, 700, 600].map((freeBytes) => look(0, freeBytes, true))

it('counts what is seen while all is seen, whatever the disk loses to others', () => {
  const held = heldBytes()
  expect([look(10, 900), look(20, 100), look(5, 0)].map(held)).toEqual([10, 20, 5])
})

it('counts what the disk lost since the last whole look, from the fifth look in a row on at which something is unseen', () => {
  const held = heldBytes()
  const looks = [look(10, 900), ...first, look(0, 500, true), look(30, 400, true)]
  expect(looks.map(held)).toEqual([10, 0, 0, 0, 0, 410, 510])
})

it('begins anew once all is seen', () => {
  const held = heldBytes()
  const looks = [look(10, 900), ...first, look(7, 500), ...first, look(0, 300, true)]
  expect(looks.map(held)).toEqual([10, 0, 0, 0, 0, 7, 0, 0, 0, 0, 607])
})

it('never counts less than is seen, and what the disk loses after others emptied it counts in full', () => {
  const held = heldBytes()
  const looks = [look(10, 100, true), ...first.slice(1), look(40, 900, true), look(40, 850, true), look(0, 700, true)]
  expect(looks.map(held)).toEqual([10, 0, 0, 0, 40, 60, 210])
})
