import { expect, it } from 'vitest'
import { heldBytes } from '../src/disk/held-bytes.ts'

const look = (bytes: number, freeBytes: number, inFlight = false) => ({ bytes, freeBytes, inFlight })

it('counts what is seen while nothing is in flight, whatever the disk loses to others', () => {
  const held = heldBytes()
  expect([look(10, 900), look(20, 100), look(5, 0)].map(held)).toEqual([10, 20, 5])
})

it('counts what the disk lost since the last whole look, from the second look in a row on with descriptors in flight', () => {
  const held = heldBytes()
  const looks = [look(10, 900), look(0, 800, true), look(0, 700, true), look(30, 600, true)]
  expect(looks.map(held)).toEqual([10, 0, 210, 310])
})

it('begins anew once nothing is in flight', () => {
  const held = heldBytes()
  const looks = [look(10, 900), look(0, 500, true), look(7, 500), look(0, 400, true), look(0, 300, true)]
  expect(looks.map(held)).toEqual([10, 0, 7, 0, 207])
})

it('never counts less than is seen, and what the disk loses after others emptied it counts in full', () => {
  const held = heldBytes()
  const looks = [look(10, 100, true), look(40, 900, true), look(40, 850, true), look(0, 700, true)]
  expect(looks.map(held)).toEqual([10, 40, 60, 210])
})
